package dockerpg

import (
	"archive/tar"
	"context"
	"errors"
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

// docker returns the engine.
func (t *target) docker() *docker {
	return &docker{
		Runner: &tool.Host{Folder: t.Bindir, Field: "docker_bindir", Dialect: dialect(), Log: t.log, Secrets: []string{t.Password}},
		config: &t.config, log: t.log,
	}
}

// Validate implements plugin.Validator.
func (t *target) Validate(context.Context) error { return t.bad }

// Backup implements plugin.Target.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	if t.bad != nil {
		return t.bad
	}
	d := t.docker()
	list, err := d.running(ctx)
	if err != nil {
		return err
	}
	text, err := marshal(list)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	if err := writeMember(out, listMember, text); err != nil {
		return err
	}
	for _, c := range list {
		p := &pieces{t: out, name: c.name()}
		if err := d.server(c).DumpAll(ctx, p, nil); err != nil {
			return err
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return out.Close()
}

// Restore implements plugin.Target. Containers that are missing are made
// again, those that do not run are started.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	if t.bad != nil {
		return t.bad
	}
	in := &reader{r: r}
	list, err := in.containers()
	if err != nil {
		return err
	}
	d := t.docker()
	for _, c := range list {
		if err := t.restoreOne(ctx, d, c, in); err != nil {
			return err
		}
	}
	if !in.end {
		return damaged("it has %q, which is of none of its containers", in.name)
	}
	return nil
}

func (t *target) restoreOne(ctx context.Context, d *docker, c *container, in *reader) error {
	dump := in.dump(c.name())
	if len(t.names) > 0 && !contains(t.names, c.name()) {
		t.log("the container " + c.name() + " is left out: it is not among those named")
		_, err := io.Copy(io.Discard, dump)
		return err
	}
	made, err := d.provide(ctx, c)
	if err != nil {
		return err
	}
	err = d.server(c).LoadAll(ctx, dump)
	if err == nil {
		_, err = io.Copy(io.Discard, dump)
	}
	if err != nil && made {
		d.remove(ctx, c)
	}
	return err
}

// Test implements plugin.Tester.
func (t *target) Test(ctx context.Context) error {
	if t.bad != nil {
		return t.bad
	}
	d := t.docker()
	list, err := d.running(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		s := d.server(c)
		f, err := s.Facts(ctx, pg.Maintenance(""))
		if err != nil {
			return err
		}
		v, err := s.CheckClient(ctx, "pg_dump", f)
		if err != nil {
			return err
		}
		t.log(c.name() + ": " + f.String() + ", pg_dump " + v.Text + ", image " + c.Config.Image)
		if !f.Superuser {
			return shield.Errorf(shield.Forbidden, "", "container %s: the role %s is no superuser: it cannot dump all databases with their roles", c.name(), f.User)
		}
	}
	return nil
}

// Probe implements plugin.Prober.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	if t.bad != nil {
		return plugin.Probe{}, t.bad
	}
	d := t.docker()
	list, err := d.running(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	sum := newSum(len(list))
	for _, c := range list {
		p, err := d.server(c).Count(ctx, pg.Maintenance(""), nil)
		if err != nil {
			return plugin.Probe{}, err
		}
		sum.add(c.name(), p)
	}
	return sum.Probe, nil
}

// Inspect implements plugin.Inspector.
func (t *target) Inspect(_ context.Context, r io.Reader) (plugin.Probe, error) {
	in := &reader{r: buffered(r)}
	list, err := in.containers()
	if err != nil {
		return plugin.Probe{}, err
	}
	sum := newSum(len(list))
	for _, c := range list {
		p, err := pg.Inspect(buffered(in.dump(c.name())))
		if err != nil {
			return sum.Probe, shield.Errorf(shield.CodeOf(err), "", "container %s: %w", c.name(), err)
		}
		sum.add(c.name(), p)
	}
	if err := in.next(); !errors.Is(err, io.EOF) {
		return sum.Probe, damaged("something follows its containers")
	}
	return sum.Probe, nil
}

// A sum is the probe of several servers.
type sum struct{ plugin.Probe }

func newSum(containers int) *sum {
	return &sum{plugin.Probe{Counts: map[string]int64{"containers": int64(containers)}, Versions: map[string]string{}}}
}

func (s *sum) add(name string, p plugin.Probe) {
	for k, n := range p.Counts {
		s.Counts[k] += n
	}
	for k, v := range p.Versions {
		s.Versions[name+" "+k] = v
	}
}
