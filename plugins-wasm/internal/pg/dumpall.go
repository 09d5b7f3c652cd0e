package pg

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// The lines by which a stream of several databases tells its parts. To psql
// they are comments.
const (
	clusterMark   = "-- PostgreSQL database cluster dump\n"
	aboutMark     = "-- shield: "
	databasesMark = "-- shield: here the databases begin\n"
	databaseEnd   = "-- PostgreSQL database dump complete"
	// wholeMark is what psql prints when it has come to the end.
	wholeMark  = "shield: that was all"
	clusterEnd = "-- PostgreSQL database cluster dump complete"
)

// About is what a stream of several databases says of itself.
type About struct {
	Server    string   `json:"server"` // versions
	Tool      string   `json:"pg_dump"`
	Databases []string `json:"databases"`
}

// DumpAll writes several databases, all if none is named, and what they share
// (roles, tablespaces) as a script for psql, as pg_dumpall does. Other than
// pg_dumpall's, it can be run where some of the roles are there already, and
// each database is loaded in one transaction.
func (s *Server) DumpAll(ctx context.Context, w io.Writer, databases []string) error {
	f, err := s.Facts(ctx, Maintenance(""))
	if err != nil {
		return err
	}
	v, err := s.CheckClient(ctx, "pg_dump", f)
	if err != nil {
		return err
	}
	if len(databases) == 0 {
		if databases, err = s.Databases(ctx); err != nil {
			return err
		}
	}
	s.log("%s, pg_dump %s: %d databases and the roles", f, v.Text, len(databases))
	globals, err := s.globals(ctx, f)
	if err != nil {
		return err
	}
	about, _ := json.Marshal(About{f.Version.Text, v.Text, databases}) // strings always encode
	begin := fmt.Sprintf("--\n%s--\n%s%s\n\n%s\n%s\n", clusterMark, aboutMark, about, globals, databasesMark)
	if _, err := io.WriteString(w, begin); err != nil {
		return err
	}
	for _, d := range databases {
		if err := s.dumpPart(ctx, w, d); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, "SELECT '"+wholeMark+"';\n\n--\n"+clusterEnd+"\n--\n\n")
	return err
}

// globals returns what all databases share, made harmless where it exists.
func (s *Server) globals(ctx context.Context, f *Facts) (string, error) {
	args := []string{"-g", "-w", "-l", Maintenance("")}
	if !f.Passwords {
		args = append(args, "--no-role-passwords")
		s.log("the passwords of roles are left out: the role %s must be a superuser to read them", f.User)
	}
	var out bytes.Buffer
	if _, err := s.run(ctx, tool.Job{Name: "pg_dumpall", Args: args, Stdout: &out}); err != nil {
		return "", s.hint(err)
	}
	if !bytes.Contains(out.Bytes(), []byte(clusterEnd)) {
		return "", shield.Errorf(shield.TargetFailed, "", "pg_dumpall: exit status 0, but the roles are not whole: their end is missing")
	}
	all, whole := statements(out.Bytes())
	if !whole {
		return "", shield.Errorf(shield.TargetFailed, "", "pg_dumpall: exit status 0, but the roles end within a statement")
	}
	var b strings.Builder
	for _, st := range all {
		if !strings.HasPrefix(st.text, `\`) { // \restrict: what is written here are statements alone
			b.WriteString(harmless(&st) + "\n")
		}
	}
	return b.String(), nil
}

// harmless returns a statement that does nothing where it would fail because
// its role or tablespace exists.
func harmless(st *statement) string {
	catalog, column := "", ""
	switch st.words(2) {
	case "CREATE ROLE":
		catalog, column = "pg_roles", "rolname"
	case "CREATE TABLESPACE":
		catalog, column = "pg_tablespace", "spcname"
	default:
		return st.text
	}
	_, _, name := nameAfter(st.text, strings.Fields(st.words(2))...)
	return fmt.Sprintf("SELECT %s WHERE NOT EXISTS (SELECT FROM pg_catalog.%s WHERE %s = %s);\n\\gexec",
		Literal(strings.TrimSuffix(st.text, ";")), catalog, column, Literal(name))
}

// inEveryServer reports whether every server has the database, so that it is
// loaded into and not made.
func inEveryServer(database string) bool { return database == "template1" || database == "postgres" }

// dumpPart writes one database of several.
func (s *Server) dumpPart(ctx context.Context, w io.Writer, database string) error {
	tables, err := s.tables(ctx, database)
	if err != nil {
		return err
	}
	title := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, database)
	begin := fmt.Sprintf("--\n-- Database %q dump\n--\n\n", title)
	args := append([]string{"-Fp", "-w"}, s.DumpOptions...)
	if inEveryServer(database) {
		begin += "\\connect " + database + "\n\n"
	} else {
		args = append(args, "--create")
	}
	if _, err := io.WriteString(w, begin); err != nil {
		return err
	}
	p := &preamble{w: w}
	r, err := s.run(ctx, tool.Job{Name: "pg_dump", Args: append(args, "-d", ConnectTo(database)), Stdout: p, Tail: 512})
	if err != nil {
		return s.hint(err)
	}
	if p.err != nil || !bytes.Contains(r.Tail, []byte(databaseEnd)) {
		return shield.Errorf(shield.TargetFailed, "", "pg_dump: exit status 0, but the dump of the database %s ends early: its last line is missing", database)
	}
	if tables > 0 && !p.begun {
		return shield.Errorf(shield.TargetFailed, "", "pg_dump: exit status 0, but the dump is empty: it has none of the %d tables of the database %s", tables, database)
	}
	if p.begun {
		_, err = io.WriteString(w, "\nCOMMIT;\n\n")
	}
	return err
}

// A preamble passes on a plain dump and puts a BEGIN behind its first
// statements, which make the database and connect to it.
type preamble struct {
	w     io.Writer
	begun bool // something follows the preamble
	err   error
}

// preambleLimit bounds the settings of one database.
const preambleLimit = 16 << 20

// Write is there for io.Writer: programs are run with ReadFrom.
func (p *preamble) Write([]byte) (int, error) { return 0, fmt.Errorf("written to without ReadFrom") }

// ReadFrom implements io.ReaderFrom.
func (p *preamble) ReadFrom(r io.Reader) (int64, error) {
	var b []byte
	done, chunk := 0, make([]byte, 64<<10)
	for !p.begun {
		n, err := r.Read(chunk)
		b = append(b, chunk[:n]...)
		for {
			st, ok := next(b, done)
			if !ok {
				break
			}
			if !st.isPreamble() {
				p.begun = true
				break
			}
			done = st.end
		}
		if err == io.EOF {
			_, err := p.w.Write(b)
			return int64(len(b)), err
		}
		if err != nil {
			return 0, err
		}
		if len(b) > preambleLimit {
			p.err = fmt.Errorf("no end of the preamble in %d bytes", len(b))
			return 0, p.err
		}
	}
	for _, part := range [][]byte{b[:done], []byte("\n\nBEGIN;\n"), b[done:]} {
		if _, err := p.w.Write(part); err != nil {
			return 0, err
		}
	}
	n, err := pdk.Copy(p.w, r)
	return int64(len(b)) + n, err
}

// isPreamble reports whether a statement belongs to what makes a database and
// connects to it.
func (s *statement) isPreamble() bool {
	if strings.HasPrefix(s.text, `\`) {
		return true
	}
	switch s.words(1) {
	case "SET":
		return true
	case "SELECT":
		return strings.HasPrefix(s.text, "SELECT pg_catalog.set_config(")
	}
	switch s.words(2) {
	case "CREATE DATABASE", "ALTER DATABASE", "ALTER ROLE", "SECURITY LABEL", "UPDATE PG_CATALOG.PG_DATABASE":
		return true
	}
	return s.words(3) == "COMMENT ON DATABASE"
}
