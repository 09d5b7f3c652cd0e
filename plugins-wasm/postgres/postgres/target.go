package postgres

import (
	"bufio"
	"context"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/pg"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

type target struct {
	config
	log plugin.Log
	bad error // of the endpoint
}

var (
	_ plugin.Target    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
)

func openTarget(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	info := about()
	t := &target{log: log}
	if err := info.Decode(plugin.RoleTarget, e, &t.config); err != nil {
		return nil, err
	}
	t.bad = t.check()
	return t, nil
}

// Validate implements plugin.Validator.
func (t *target) Validate(context.Context) error { return t.bad }

// server returns the server at an address.
func (t *target) server(host string, port int) *pg.Server {
	env, files := t.environment(host, port)
	return &pg.Server{
		Tools: &tool.Host{Folder: t.Bindir, Field: "pg_bindir", Dialect: pg.Dialect(), Log: t.log, Secrets: []string{t.Password}},
		Env:   env, Files: files, Log: t.log,
		DumpOptions: t.dumpOpts, RestoreOptions: t.restoreOpts, Keep: t.Existing == refuse,
	}
}

// primary returns the server that restores go to.
func (t *target) primary() *pg.Server { return t.server(t.Host, t.Port) }

// source returns the server that backups are taken from: the replica, if
// there is one, which has to be one.
func (t *target) source(ctx context.Context) (*pg.Server, error) {
	if t.ReplicaHost == "" {
		return t.primary(), nil
	}
	port := t.ReplicaPort
	if port == 0 {
		port = t.Port
	}
	s := t.server(t.ReplicaHost, port)
	f, err := s.Facts(ctx, t.at())
	if err != nil {
		return nil, shield.Errorf(shield.CodeOf(err), "", "the replica %s: %w", t.ReplicaHost, err)
	}
	if !f.Standby {
		return nil, shield.FieldErrorf("endpoint.pg_read_replica_host", "is %s, which is no replica: pg_is_in_recovery() is false there; name a standby, or leave it out", t.ReplicaHost)
	}
	return s, nil
}

// at returns the database to ask the server through.
func (t *target) at() string {
	if len(t.databases) > 0 {
		return t.databases[0]
	}
	return pg.Maintenance("")
}

// Backup implements plugin.Target.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	if t.bad != nil {
		return t.bad
	}
	s, err := t.source(ctx)
	switch {
	case err != nil:
		return err
	case t.Method == physical:
		return s.CopyFiles(ctx, w)
	case len(t.databases) == 1:
		return s.DumpOne(ctx, w, t.databases[0])
	}
	return s.DumpAll(ctx, w, t.databases)
}

// Restore implements plugin.Target. What the stream is, it says itself.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	if t.bad != nil {
		return t.bad
	}
	begin := &peeked{r: r}
	kind, err := begin.kind()
	if err != nil {
		return err
	}
	if (kind == pg.KindFiles) != (t.Method == physical) {
		return shield.FieldErrorf("endpoint.method", "is %s, but the archive is %s", t.Method, kind)
	}
	switch kind {
	case pg.KindFiles:
		return t.restoreFiles(ctx, begin)
	case pg.KindOne:
		return t.restoreOne(ctx, begin)
	}
	if len(t.databases) > 0 && len(t.databases) < 2 {
		return shield.FieldErrorf("endpoint.pg_database", "is %q, but the archive has several databases under their own names: leave it out", t.Database)
	}
	return t.primary().LoadAll(ctx, begin)
}

func (t *target) restoreOne(ctx context.Context, r io.Reader) error {
	if len(t.databases) > 1 {
		return shield.FieldErrorf("endpoint.pg_database", "is %q, but the archive has one database: name one, or none for its own name", t.Database)
	}
	database := ""
	if len(t.databases) == 1 {
		database = t.databases[0]
	}
	return t.primary().LoadOne(ctx, r, database)
}

// Inspect implements plugin.Inspector.
func (t *target) Inspect(_ context.Context, r io.Reader) (plugin.Probe, error) {
	br := bufio.NewReaderSize(r, 1<<20)
	begin, _ := br.Peek(pg.KindSize) // a stream that is shorter is of no kind
	switch pg.KindOf(begin) {
	case pg.KindFiles:
		return pg.InspectFiles(br)
	case pg.KindNone:
		return plugin.Probe{}, errKind()
	}
	return pg.Inspect(br)
}

// Probe implements plugin.Prober.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	if t.bad != nil {
		return plugin.Probe{}, t.bad
	}
	s, err := t.source(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	return s.Count(ctx, t.at(), t.databases)
}
