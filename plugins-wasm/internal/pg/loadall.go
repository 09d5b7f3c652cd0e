package pg

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// globalsLimit bounds what is shared by the databases of a stream.
const globalsLimit = 64 << 20

// readAbout reads the beginning of a stream of DumpAll, up to the databases.
func readAbout(r *bufio.Reader) (about About, globals []byte, err error) {
	damaged := func(format string, args ...any) error {
		return shield.Errorf(shield.Corrupt, "", "this is no whole dump of a cluster: "+format, args...)
	}
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		globals = append(globals, line...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF:
			return about, nil, damaged("it ends before its databases begin")
		case err != nil:
			return about, nil, err
		case n == 1 && string(line) != clusterMark:
			return about, nil, damaged("it does not begin with %q", strings.TrimSpace(clusterMark))
		case string(line) == databasesMark && bytes.HasSuffix(globals, []byte("\n"+databasesMark)):
			return about, globals, nil
		case len(globals) > globalsLimit:
			return about, nil, damaged("it has more than %d bytes before its databases", globalsLimit)
		}
		if text, ok := bytes.CutPrefix(line, []byte(aboutMark)); ok && n == 3 {
			if err := json.Unmarshal(text, &about); err != nil {
				return about, nil, damaged("what it says of itself: %w", err)
			}
		}
	}
}

// LoadAll loads a stream of DumpAll. What has the name of one of its
// databases is kept under another name until all is loaded.
func (s *Server) LoadAll(ctx context.Context, r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	about, globals, err := readAbout(br)
	if err != nil {
		return err
	}
	f, err := s.Facts(ctx, Maintenance(""))
	if err != nil {
		return err
	}
	if err := s.checkVersions(ctx, "psql", f, about.Server, ""); err != nil {
		return err
	}
	if f.Standby {
		return shield.Errorf(shield.Invalid, "", "the server is a replica: a restore has to go to its primary")
	}
	there, err := s.inTheWay(ctx, about.Databases)
	if err != nil {
		return err
	}
	if err := s.Exec(ctx, Maintenance(""), s.shared(globals, f)); err != nil {
		return err
	}
	a := &aside{s: s}
	err = a.move(ctx, there)
	if err == nil {
		err = s.loadDatabases(ctx, br, r)
	}
	if err != nil {
		a.back(ctx, about.Databases, there)
		return err
	}
	s.log("%d databases and their roles are restored", len(about.Databases))
	return a.drop(ctx)
}

// shared returns the script of what the databases share, without what it says
// of the role that the restore runs as: with another password it could not go
// on.
func (s *Server) shared(script []byte, f *Facts) string {
	all, _ := statements(script)
	var b strings.Builder
	for _, st := range all {
		_, end, name := nameAfter(st.text, "ALTER", "ROLE")
		if st.words(2) == "ALTER ROLE" && name == f.User && strings.HasPrefix(st.text[end:], " WITH ") {
			s.log("the role %s keeps its password and attributes, since the restore runs as it", name)
			continue
		}
		b.WriteString(st.text + "\n")
	}
	return b.String()
}

// inTheWay returns those of the databases that the server has, other than
// those that every server has and nobody has used.
func (s *Server) inTheWay(ctx context.Context, wanted []string) ([]string, error) {
	have, err := s.column(ctx, Maintenance(""), "SELECT datname FROM pg_database")
	if err != nil {
		return nil, err
	}
	var there []string
	for _, d := range wanted {
		if !slices.Contains(have, d) {
			continue
		}
		n := 1
		if s.Keep || inEveryServer(d) {
			if n, err = s.objects(ctx, d); err != nil {
				return nil, err
			}
		}
		if s.Keep && n > 0 {
			return nil, shield.Errorf(shield.Conflict, "", "the database %s exists and has %d objects: remove it, or let pg_existing be replace", d, n)
		}
		if n > 0 || !inEveryServer(d) {
			there = append(there, d)
		}
	}
	return there, nil
}

func (s *Server) loadDatabases(ctx context.Context, br *bufio.Reader, r io.Reader) error {
	read, err := br.Peek(br.Buffered())
	if err != nil {
		return err
	}
	result, err := s.run(ctx, tool.Job{
		Name: "psql", Args: psql(Maintenance(""), "-A", "-t", "-f", "-"),
		Stdin: pdk.Concat(bytes.NewReader(read), r), Tail: len(wholeMark) + 1,
	})
	if err == nil {
		err = drain(r)
	}
	if err == nil && string(result.Tail) != wholeMark+"\n" {
		err = shield.Errorf(shield.Corrupt, "", "the dump of the cluster ends early: psql did not come to its last statement")
	}
	return err
}

// aside is what was in the way of a restore.
type aside struct {
	s     *Server
	moved []string
}

// move gives databases other names.
func (a *aside) move(ctx context.Context, databases []string) error {
	for _, d := range databases {
		old := asideName(d)
		kept, err := a.s.column(ctx, Maintenance(d), "SELECT datname FROM pg_database WHERE datname = "+Literal(old))
		if err != nil {
			return err
		}
		sql := closeSQL(d) + fmt.Sprintf("ALTER DATABASE %s RENAME TO %s;\n", Ident(d), Ident(old))
		if len(kept) > 0 {
			// An interrupted restore has left it: what has the name now is what that got done.
			a.s.log("the database %s of an interrupted restore is kept, %s is removed", old, d)
			sql = dropSQL(d)
		}
		if inEveryServer(d) {
			sql += remakeSQL(d)
		}
		if err := a.s.Exec(ctx, Maintenance(d), sql); err != nil {
			_ = a.s.Exec(context.WithoutCancel(ctx), Maintenance(d), reopenSQL(d)) // the error above says more
			return err
		}
		a.moved = append(a.moved, d)
	}
	return nil
}

// remakeSQL makes a database that every server has.
func remakeSQL(name string) string {
	return fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0 IS_TEMPLATE %t;\n", Ident(name), name == "template1")
}

func reopenSQL(name string) string {
	return "SELECT format('ALTER DATABASE %I WITH ALLOW_CONNECTIONS true', datname) FROM pg_database WHERE datname = " + Literal(name) + " AND NOT datallowconn \\gexec\n"
}

// back undoes a restore that failed: what it made goes, what was there comes
// back.
func (a *aside) back(ctx context.Context, made, there []string) {
	ctx = context.WithoutCancel(ctx)
	for _, d := range made {
		var sql string
		switch {
		case slices.Contains(a.moved, d):
			old := asideName(d)
			sql = dropSQL(d) + fmt.Sprintf("ALTER DATABASE %s RENAME TO %s;\n", Ident(old), Ident(d)) + reopenSQL(d)
			if d == "template1" {
				sql += "ALTER DATABASE template1 WITH IS_TEMPLATE true;\n"
			}
		case slices.Contains(there, d):
			continue // not touched yet
		case inEveryServer(d): // it was empty
			sql = dropSQL(d) + remakeSQL(d)
		default:
			sql = dropSQL(d)
		}
		if err := a.s.Exec(ctx, Maintenance(d), sql); err != nil {
			a.s.log("the database %s could not be put back; what it was is in %s: %v", d, asideName(d), err)
		}
	}
}

// drop removes what the restore has replaced.
func (a *aside) drop(ctx context.Context) error {
	for _, d := range a.moved {
		if err := a.s.Exec(ctx, Maintenance(""), dropSQL(asideName(d))); err != nil {
			return err
		}
	}
	return nil
}
