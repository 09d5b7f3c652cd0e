package pg

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// oneTransaction is how many entries an archive may have to be loaded in one
// transaction: each takes a lock, and a server has room for few of them. The
// database is new in any case, and removed if it is not loaded whole.
const oneTransaction = 3000

// LoadOne loads an archive of DumpOne into a database, empty for the one that
// it was taken from. It is loaded under another name beside the one that is
// there, which it replaces only when it is whole.
func (s *Server) LoadOne(ctx context.Context, r io.Reader, database string) error {
	var seen bytes.Buffer
	toc, err := ReadTOC(bufio.NewReaderSize(io.TeeReader(r, &seen), 64<<10))
	if err != nil {
		return err
	}
	if database == "" {
		database = toc.Database
	}
	at := Maintenance(database)
	f, rows, err := s.factsAnd(ctx, at, presentSQL(database))
	if err != nil {
		return err
	}
	exists, roles := presentOf(rows)
	if err := s.beforeLoad(ctx, toc, f, database, exists, roles); err != nil {
		return err
	}
	l := &loading{s: s, at: at, name: database, temp: tempName(database), exists: exists}
	if err := l.create(ctx, toc); err != nil {
		return err
	}
	err = l.load(ctx, toc, pdk.Concat(&seen, r))
	if err == nil {
		err = drain(r)
	}
	if err == nil {
		err = l.swap(ctx)
	}
	if err != nil {
		l.undo(ctx)
		return err
	}
	s.log("the database %s is restored: %d objects", database, toc.Entries)
	return nil
}

// drain reads what a program has left of its input, and so learns whether
// the stream is whole.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// presentSQL asks whether a database is there, and which roles are.
func presentSQL(database string) string {
	return "SELECT 'database', datname FROM pg_database WHERE datname = " + Literal(database) + ";\n" +
		"SELECT 'role', rolname FROM pg_roles;\n"
}

// presentOf returns what the rows of presentSQL say.
func presentOf(rows [][]string) (exists bool, roles []string) {
	for _, row := range rows {
		if row[0] == "role" {
			roles = append(roles, row[1])
		} else {
			exists = true
		}
	}
	return exists, roles
}

// beforeLoad says what stands against loading, before anything is changed.
func (s *Server) beforeLoad(ctx context.Context, toc *TOC, f *Facts, database string, exists bool, roles []string) error {
	if err := s.checkVersions(ctx, "pg_restore", f, toc.ServerText, toc.ToolText); err != nil {
		return err
	}
	if f.Standby {
		return shield.Errorf(shield.Invalid, "", "the server is a replica: a restore has to go to its primary")
	}
	if !slices.ContainsFunc(s.RestoreOptions, func(o string) bool { return o == "-O" || o == "--no-owner" }) {
		if err := checkOwners(toc, roles); err != nil {
			return err
		}
	}
	if !exists || !s.Keep {
		return nil
	}
	n, err := s.objects(ctx, database)
	if err == nil && n > 0 {
		err = shield.Errorf(shield.Conflict, "", "the database %s exists and has %d objects: remove it, or let pg_existing be replace", database, n)
	}
	return err
}

// checkVersions refuses to load into an older server, or with an older program.
func (s *Server) checkVersions(ctx context.Context, name string, f *Facts, from, dumped string) error {
	if v, ok := tool.ParseVersion(from); ok && v.Major > f.Version.Major {
		return shield.Errorf(shield.Invalid, "", "the archive is of PostgreSQL %d, but the server is PostgreSQL %d: restore into %d or newer",
			v.Major, f.Version.Major, v.Major)
	}
	v, err := tool.VersionOf(ctx, s.Tools, name)
	if err != nil {
		return err
	}
	if d, ok := tool.ParseVersion(dumped); ok && d.Major > v.Major {
		return shield.Errorf(shield.Invalid, "", "the archive was made by pg_dump of PostgreSQL %d, but %s is of PostgreSQL %d: install postgresql-client-%d",
			d.Major, name, v.Major, d.Major)
	}
	s.log("an archive of PostgreSQL %s by pg_dump %s; %s, %s %s", from, dumped, f, name, v.Text)
	return nil
}

// checkOwners refuses an archive whose owners are not among the roles of the
// server.
func checkOwners(toc *TOC, roles []string) error {
	var missing []string
	for _, owner := range slices.Sorted(maps.Keys(toc.Owners)) {
		if !slices.Contains(roles, owner) {
			missing = append(missing, owner)
		}
	}
	if len(missing) > 0 {
		return shield.Errorf(shield.Invalid, "", "the server lacks the roles that own what is in the archive: %s: create them, or set pg_restore_options to --no-owner",
			strings.Join(missing, ", "))
	}
	return nil
}

// A loading is a database under way.
type loading struct {
	s          *Server
	at         string // where to connect to for what concerns the server
	name, temp string
	exists     bool
	properties string // SQL that gives the new database those of the archive's
}

// nameLimit is how long names can be.
const nameLimit = 63

func tempName(database string) string  { return cutName(database) + "_shield_new" }
func asideName(database string) string { return cutName(database) + "_shield_old" }
func cutName(database string) string {
	return strings.ToValidUTF8(database[:min(len(database), nameLimit-11)], "")
}
func (l *loading) has(name string) bool { return slices.Contains(l.s.RestoreOptions, name) }

// create makes the new database and takes note of the properties that the
// archive has of it. One that an interrupted restore has left is removed.
func (l *loading) create(ctx context.Context, toc *TOC) error {
	create := "CREATE DATABASE " + Ident(l.temp) + " TEMPLATE template0;"
	for _, e := range toc.About {
		list, _ := statements([]byte(e.Definition))
		for _, st := range list {
			text := renamed(st.text, toc.Database, l.temp)
			switch {
			case e.Desc == "DATABASE" && st.words(2) == "CREATE DATABASE":
				create = text
			case e.Desc == "ACL" && (l.has("-x") || l.has("--no-privileges") || l.has("--no-acl")):
			case strings.HasPrefix(text, `\`):
			default:
				l.properties += text + "\n"
			}
		}
		if e.Desc == "DATABASE" && e.Owner != "" && !l.has("-O") && !l.has("--no-owner") {
			l.properties = "ALTER DATABASE " + Ident(l.temp) + " OWNER TO " + Ident(e.Owner) + ";\n" + l.properties
		}
	}
	return l.s.Exec(ctx, l.at, dropSQL(l.temp)+create)
}

func (l *loading) load(ctx context.Context, toc *TOC, r io.Reader) error {
	args := []string{"-Fc", "-w", "--exit-on-error"}
	if toc.Entries <= oneTransaction {
		args = append(args, "--single-transaction")
	}
	args = append(args, l.s.RestoreOptions...)
	_, err := l.s.run(ctx, tool.Job{Name: "pg_restore", Args: append(args, "-d", ConnectTo(l.temp)), Stdin: r})
	return err
}

// swap gives the new database its properties and puts it in the place of the
// old one, in one transaction.
func (l *loading) swap(ctx context.Context) error {
	if !l.exists {
		return l.s.Exec(ctx, l.at, l.properties+"ALTER DATABASE "+Ident(l.temp)+" RENAME TO "+Ident(l.name)+";")
	}
	old := asideName(l.name)
	err := l.s.Exec(ctx, l.at, l.properties+dropSQL(old)+closeSQL(l.name)+fmt.Sprintf(`BEGIN;
ALTER DATABASE %s RENAME TO %s;
ALTER DATABASE %s RENAME TO %s;
COMMIT;
`, Ident(l.name), Ident(old), Ident(l.temp), Ident(l.name)))
	if err != nil {
		return err
	}
	if err := l.s.Exec(ctx, l.at, dropSQL(old)); err != nil {
		l.s.log("what %s was before is still there as %s, to be removed by hand: %v", l.name, old, err)
	}
	return nil
}

// undo removes the new database after a failure, also if ctx is done.
func (l *loading) undo(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	sql := dropSQL(l.temp)
	if l.exists {
		sql += "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database WHERE datname = " + Literal(l.name) + " AND NOT datallowconn \\gexec\n"
	}
	if err := l.s.Exec(ctx, l.at, sql); err != nil {
		l.s.log("the unfinished database %s could not be removed: %v", l.temp, err)
	}
}

// closeSQL lets nobody connect to a database any more and ends who does.
func closeSQL(name string) string {
	return fmt.Sprintf(`ALTER DATABASE %s WITH ALLOW_CONNECTIONS false;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid();
`, Ident(name), Literal(name))
}

// dropSQL removes a database if it is there.
func dropSQL(name string) string {
	n := Literal(name)
	return fmt.Sprintf(`SELECT format('ALTER DATABASE %%I WITH IS_TEMPLATE false ALLOW_CONNECTIONS false', datname) FROM pg_database WHERE datname = %s \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid();
SELECT format('DROP DATABASE %%I', datname) FROM pg_database WHERE datname = %s \gexec
`, n, n, n)
}
