package mysql

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A source is what a backup reads, checked.
type source struct {
	*mysqlcli.Client
	server    *mysqlcli.Server
	program   mysqlcli.Program // that dumps
	databases []string
	tables    []table

	collations map[string]string // of the databases
}

// source connects to where a backup reads from and looks whether all of it
// can be read.
func (t *target) source(ctx context.Context) (*source, error) {
	c, err := t.replica()
	if err != nil {
		return nil, err
	}
	s := &source{Client: mysqlcli.NewClient(c, t.log)}
	of := "CAST(t.TABLE_SCHEMA AS BINARY) NOT IN (" + nameList(ofServer) + ")"
	if len(t.databases) > 0 {
		of = "t.TABLE_SCHEMA IN (" + nameList(t.databases) + ")"
	}
	var rows [][]string
	if s.server, rows, err = s.HelloAnd(ctx, collationsSQL+tablesSQL(of)+"SHOW GRANTS;"); err != nil {
		return nil, err
	}
	if t.Replica != "" {
		if err := t.follows(ctx, s.Client, s.server); err != nil {
			return nil, err
		}
	}
	if s.program, err = dumper(ctx, s.Client, s.server); err != nil {
		return nil, err
	}
	if err := t.checkTool(s.program, s.server); err != nil {
		return nil, err
	}
	s.collations = collationsOf(rows)
	if s.databases, err = t.scope(s.Client, s.collations); err != nil {
		return nil, err
	}
	maps.DeleteFunc(s.collations, func(name, _ string) bool { return !slices.Contains(s.databases, name) })
	s.tables = slices.DeleteFunc(tablesOf(rows), func(x table) bool { return !slices.Contains(s.databases, x.database) })
	return s, t.lacking(grantsOf(rows), s.server, s.databases)
}

// Backup implements plugin.Target.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	t.warnEngines(s.tables)
	n := note{
		Plugin: version, Server: s.versionText(), Tool: s.program.String(),
		Databases: s.databases, All: len(t.databases) == 0, Tables: len(s.tables), Collations: s.collations,
	}
	line, err := n.line()
	if err != nil {
		return err
	}
	if _, err := w.Write(line); err != nil {
		return err
	}
	files, err := s.Files(s.program.Vendor)
	if err != nil {
		return err
	}
	r, err := s.Host.Run(ctx, tool.Job{
		Name: s.program.Name, Args: t.arguments(s), Files: files, Stdout: w, Tail: tailSize,
	})
	if err != nil {
		return s.Explain(err)
	}
	return t.checkEnd(ctx, s, r.Tail)
}

// versionText is the version of the server as dumps have it.
func (s *source) versionText() string {
	if s.server.Vendor == mysqlcli.MariaDB {
		return s.server.Version.Text + "-MariaDB"
	}
	return s.server.Version.Text
}

// arguments returns the command line of the dump. Credentials are in the
// option file.
func (t *target) arguments(s *source) []string {
	args := []string{
		mysqlcli.OptionsFlag, "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--tz-utc",
		"--default-character-set=utf8mb4", "--skip-dump-date", "--max-allowed-packet=1G",
	}
	if t.Consistency == byLock {
		args = append(args, "--lock-all-tables")
	} else {
		args = append(args, "--single-transaction", "--skip-lock-tables")
	}
	if s.program.Vendor == mysqlcli.MySQL {
		args = append(args, "--no-tablespaces")
		if s.program.Version.Major >= 8 {
			args = append(args, "--set-gtid-purged=OFF", "--column-statistics=0")
		} else if s.program.Version.Major == 5 && s.program.Version.Minor >= 6 {
			args = append(args, "--set-gtid-purged=OFF")
		}
	}
	args = append(args, t.options...)
	if len(t.databases) == 0 {
		return append(args, "--flush-privileges", "--all-databases")
	}
	return append(append(args, "--databases", "--"), t.databases...)
}

// tailSize is how much of the end of a dump is looked at. A shorter one is
// looked at as a whole.
const tailSize = 64 << 10

// checkEnd looks whether a dump whose tool ended well is whole.
func (t *target) checkEnd(ctx context.Context, s *source, tail []byte) error {
	if !hasMark(tail) {
		return shield.Errorf(shield.TargetFailed, "", "%s has ended without an error but before its mark %q: the dump is not whole", s.program.Name, completeMark)
	}
	if len(tail) >= tailSize {
		return nil
	}
	d, err := readDump(bytes.NewReader(tail))
	if err != nil {
		return shield.Errorf(shield.TargetFailed, "", "what %s wrote is no whole dump: %v", s.program.Name, err)
	}
	if d.counts["tables"] >= int64(len(s.tables)) || len(t.options) > 0 {
		return nil // options may well leave tables out
	}
	now, err := tables(ctx, s.Client, s.databases)
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(slices.Clone(s.tables), func(x table) bool { return slices.Contains(now, x) })
	if len(gone) > 0 {
		return shield.Errorf(shield.TargetFailed, "", "the table %s.%s was dropped during the dump", gone[0].database, gone[0].name)
	}
	return shield.Errorf(shield.TargetFailed, "", "the dump has %d tables and the server %d", d.counts["tables"], len(s.tables))
}

// hasMark reports whether the last line is the mark of a dump that ended well.
func hasMark(tail []byte) bool {
	tail = bytes.TrimSpace(tail)
	return bytes.HasPrefix(tail[bytes.LastIndexByte(tail, '\n')+1:], []byte(completeMark))
}

// Test implements plugin.Tester: everything that a backup needs, and the
// client that a restore needs.
func (t *target) Test(ctx context.Context) error {
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	_, err = loader(ctx, s.Client, s.server)
	if err == nil {
		t.log(s.server.String() + " on " + s.Where() + ", " + s.program.String() + ", " +
			strconv.Itoa(len(s.databases)) + " databases with " + strconv.Itoa(len(s.tables)) + " tables")
	}
	return err
}
