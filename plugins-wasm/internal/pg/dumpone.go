package pg

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// RefusedDumpOptions are the options of pg_dump that are the plugin's to set.
var RefusedDumpOptions = []string{
	"-f", "--file", "-F", "--format", "-Z", "--compress", "-d", "--dbname", "-h", "--host", "-p", "--port",
	"-U", "--username", "-W", "--password", "-j", "--jobs", "-C", "--create", "-c", "--clean", "-E", "--encoding", "--snapshot",
}

// RefusedRestoreOptions are the options of pg_restore that are the plugin's
// to set.
var RefusedRestoreOptions = []string{
	"-f", "--file", "-F", "--format", "-d", "--dbname", "-h", "--host", "-p", "--port", "-U", "--username",
	"-W", "--password", "-j", "--jobs", "-C", "--create", "-c", "--clean", "-1", "--single-transaction", "-l", "--list", "-e", "--exit-on-error",
}

// head looks at the beginning of a stream that passes: whatever look reads
// goes to w, too, and the rest follows without it.
type head struct {
	w    io.Writer
	look func(r *bufio.Reader) error
	err  error // of look; the stream passes all the same
}

// Write is there for io.Writer: programs are run with ReadFrom.
func (h *head) Write([]byte) (int, error) { return 0, fmt.Errorf("written to without ReadFrom") }

// ReadFrom implements io.ReaderFrom.
func (h *head) ReadFrom(r io.Reader) (int64, error) {
	counted := &counter{w: h.w}
	h.err = h.look(bufio.NewReaderSize(io.TeeReader(r, counted), 64<<10))
	if counted.err != nil {
		return counted.n, counted.err
	}
	n, err := pdk.Copy(h.w, r)
	return counted.n + n, err
}

type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n, c.err = c.n+int64(n), err
	return n, err
}

// DumpOne writes one database as pg_dump -Fc has it, uncompressed: shield
// compresses what it stores, and on all cores.
func (s *Server) DumpOne(ctx context.Context, w io.Writer, database string) error {
	f, rows, err := s.factsAnd(ctx, database, tablesSQL)
	if err != nil {
		return err
	}
	v, err := s.CheckClient(ctx, "pg_dump", f)
	if err != nil {
		return err
	}
	s.log("%s, pg_dump %s: database %s", f, v.Text, database)
	tables, err := numberOf(rows)
	if err != nil {
		return err
	}
	var toc *TOC
	top := &head{w: w, look: func(r *bufio.Reader) (err error) {
		toc, err = ReadTOC(r)
		return err
	}}
	args := append([]string{"-Fc", "-Z0", "-w"}, s.DumpOptions...)
	r, err := s.run(ctx, tool.Job{Name: "pg_dump", Args: append(args, "-d", ConnectTo(database)), Stdout: top, Tail: 5})
	if err != nil {
		return s.hint(err)
	}
	if shield.CodeOf(top.err) == shield.Invalid { // a newer format
		s.log("pg_dump: %v: only its exit status was checked", top.err)
		return nil
	}
	if top.err != nil {
		return shield.Errorf(shield.TargetFailed, "", "pg_dump: exit status 0, but the dump is not whole: %w", top.err)
	}
	return toc.plausible(tables, r.Tail)
}

// plausible says whether a dump of a database with some tables has this table
// of contents and this end.
func (c *TOC) plausible(tables int, tail []byte) error {
	if tables > 0 && c.Tables == 0 {
		return shield.Errorf(shield.TargetFailed, "", "pg_dump: exit status 0, but the dump is empty: it has none of the %d tables of the database", tables)
	}
	if len(c.Data) > 0 && !bytes.Equal(tail, make([]byte, 5)) {
		return shield.Errorf(shield.TargetFailed, "", "pg_dump: exit status 0, but the dump ends early: it does not end with the end of a block")
	}
	return nil
}

// hint adds to an error of a lacking right how to get it.
func (s *Server) hint(err error) error {
	if shield.CodeOf(err) != shield.Forbidden {
		return err
	}
	return shield.Errorf(shield.Forbidden, "", "%w: the role needs GRANT pg_read_all_data (PostgreSQL 14 and newer), or SELECT on all tables and sequences and USAGE on all schemas", err)
}

// userObjects is the condition for what is a user's in pg_class c with
// pg_namespace n.
const userObjects = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

// tablesSQL counts the tables of a database.
const tablesSQL = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND ` + userObjects

// tables returns how many tables a database has.
func (s *Server) tables(ctx context.Context, database string) (int, error) {
	return s.number(ctx, database, tablesSQL)
}

// objects returns how much a database has that template0 has not.
func (s *Server) objects(ctx context.Context, database string) (int, error) {
	return s.number(ctx, database, `SELECT
  (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE `+userObjects+`)
  + (SELECT count(*) FROM pg_namespace n WHERE n.oid >= 16384 AND nspname !~ '^pg_')
  + (SELECT count(*) FROM pg_proc WHERE oid >= 16384) + (SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql')
  + (SELECT count(*) FROM pg_largeobject_metadata)`)
}

func (s *Server) number(ctx context.Context, database, sql string) (int, error) {
	rows, err := s.Query(ctx, database, sql)
	if err != nil {
		return 0, err
	}
	return numberOf(rows)
}

// numberOf returns the only value of a result.
func numberOf(rows [][]string) (int, error) {
	if len(rows) == 1 {
		if n, err := strconv.Atoi(rows[0][0]); err == nil {
			return n, nil
		}
	}
	return 0, shield.Errorf(shield.TargetFailed, "", "the server answers %q where a number was wanted", rows)
}
