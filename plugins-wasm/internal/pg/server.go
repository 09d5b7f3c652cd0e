// Package pg is what the plugins for PostgreSQL share, wherever the server
// and its programs are: asking the server, dumping and loading one database
// or a whole cluster, and knowing the formats of dumps.
package pg

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A Server is one PostgreSQL server and the programs that reach it.
type Server struct {
	Tools tool.Runner
	// Env and Files say to the programs how to connect: PGHOST and so on.
	Env   []string
	Files map[string]string
	Log   plugin.Log
	// DumpOptions and RestoreOptions are more options of pg_dump and pg_restore.
	DumpOptions, RestoreOptions []string
	// Keep refuses to replace what exists.
	Keep bool
}

// Facts are what matters of a server.
type Facts struct {
	Version   tool.Version
	User      string // whom we are to the server
	Superuser bool
	Passwords bool // may read those of roles
	Standby   bool
	Replicate bool // may take a physical backup
	Senders   int  // max_wal_senders
}

// String returns the server's name and version.
func (f *Facts) String() string { return "PostgreSQL " + f.Version.Text }

// complaint reports whether a line tells of a failure.
func complaint(line string) bool {
	for _, mark := range []string{"ERROR:", "FATAL:", "PANIC:", ": error:", ": fatal:", "errors ignored on restore"} {
		if strings.Contains(line, mark) {
			return true
		}
	}
	return false
}

// Dialect returns how the programs of PostgreSQL tell of failures.
func Dialect() *tool.Dialect {
	return &tool.Dialect{Complaint: complaint, Rules: []tool.Rule{
		{Text: "no space left on device", Code: shield.TargetFailed},
		{Text: "password authentication failed", Code: shield.Unauthorized},
		{Text: "no password supplied", Code: shield.Unauthorized},
		{Text: "authentication failed", Code: shield.Unauthorized},
		{Text: "requires a valid client certificate", Code: shield.Unauthorized},
		{Text: `FATAL:  role "`, Code: shield.Unauthorized},
		{Text: "no pg_hba.conf entry", Code: shield.Forbidden},
		{Text: "permission denied", Code: shield.Forbidden},
		{Text: "must be owner", Code: shield.Forbidden},
		{Text: "must be superuser", Code: shield.Forbidden},
		{Text: "must be member of role", Code: shield.Forbidden},
		{Text: "row-level security policy", Code: shield.Forbidden},
		{Text: "server version mismatch", Code: shield.Invalid},
		{Text: `FATAL:  database "`, Code: shield.Invalid},
		{Text: "server does not support SSL", Code: shield.Invalid},
		{Text: "server closed the connection", Code: shield.Unavailable},
		{Text: "terminating connection", Code: shield.Unavailable},
		{Text: "the database system is", Code: shield.Unavailable},
		{Text: "too many clients", Code: shield.Unavailable},
		{Text: "remaining connection slots", Code: shield.Unavailable},
		{Text: "conflict with recovery", Code: shield.Unavailable},
		{Text: "is the server running", Code: shield.Unavailable},
		{Text: "could not read from input file: end of file", Code: shield.Corrupt},
		{Text: "does not appear to be a valid archive", Code: shield.Corrupt},
		{Text: "unexpected end of file", Code: shield.Corrupt},
	}}
}

// run runs a program that connects to the server.
func (s *Server) run(ctx context.Context, j tool.Job) (tool.Result, error) {
	j.Env = append(append([]string{"LC_ALL=C", "PGAPPNAME=shield"}, s.Env...), j.Env...)
	files := maps.Clone(s.Files)
	if files == nil {
		files = map[string]string{}
	}
	maps.Copy(files, j.Files)
	j.Files = files
	return s.Tools.Run(ctx, j)
}

// ConnectTo returns the argument that names a database to any program. A
// plain name would be taken for more if it has a "=".
func ConnectTo(database string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

// Ident quotes the name of something.
func Ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Literal quotes a text.
func Literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// psql returns the arguments of a psql that stops at the first error.
func psql(database string, more ...string) []string {
	return append([]string{"-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", ConnectTo(database)}, more...)
}

// Query runs SQL in a database and returns the rows of all its results, those
// before an error, too.
func (s *Server) Query(ctx context.Context, database, sql string) ([][]string, error) {
	var out bytes.Buffer
	_, err := s.run(ctx, tool.Job{
		Name: "psql", Args: psql(database, "-t", "--csv"), Env: []string{"PGCLIENTENCODING=UTF8"},
		Stdin: strings.NewReader(sql + "\n"), Stdout: &out,
	})
	r := csv.NewReader(&out)
	r.FieldsPerRecord = -1
	rows, bad := r.ReadAll()
	switch {
	case err != nil:
		return rows, err
	case bad != nil:
		return nil, shield.Errorf(shield.TargetFailed, "", "psql printed something that is no CSV: %w", bad)
	}
	return rows, nil
}

// Exec runs SQL in a database.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	_, err := s.Query(ctx, database, sql)
	return err
}

// Facts asks the server what it is, through a database.
func (s *Server) Facts(ctx context.Context, database string) (*Facts, error) {
	f, _, err := s.factsAnd(ctx, database, "")
	return f, err
}

// factsAnd asks the server what it is and then runs SQL, both in one session:
// a client for each would take longer than what they ask. The rows are those
// of sql; if only that has failed, there are facts beside the error.
func (s *Server) factsAnd(ctx context.Context, database, sql string) (*Facts, [][]string, error) {
	rows, err := s.Query(ctx, database, factsSQL+sql)
	if err != nil && len(rows) == 0 {
		return nil, nil, err
	}
	if len(rows) == 0 || len(rows[0]) != 7 || sql == "" && len(rows) > 1 {
		return nil, nil, shield.Errorf(shield.TargetFailed, "", "the server says of itself %q: one row was wanted", rows)
	}
	f, bad := factsOf(rows[0])
	if bad != nil {
		return nil, nil, bad
	}
	return f, rows[1:], err
}

const factsSQL = `SELECT current_setting('server_version'), current_user,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  has_table_privilege('pg_catalog.pg_authid', 'SELECT'), pg_is_in_recovery(),
  (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user), current_setting('max_wal_senders');
`

// factsOf returns what the row of factsSQL says.
func factsOf(row []string) (*Facts, error) {
	f := &Facts{User: row[1], Superuser: row[2] == "t", Passwords: row[3] == "t", Standby: row[4] == "t", Replicate: row[5] == "t"}
	_, _ = fmt.Sscan(row[6], &f.Senders)
	v, ok := tool.ParseVersion(row[0])
	if !ok {
		return nil, shield.Errorf(shield.TargetFailed, "", "the server's version is %q: a number was wanted", row[0])
	}
	f.Version = v
	return f, nil
}

// Maintenance returns a database to connect to for what concerns the whole
// server, other than that which is not to be touched.
func Maintenance(other string) string {
	if other == "postgres" {
		return "template1"
	}
	return "postgres"
}

// Databases returns the databases that can be connected to, the first of them
// template1, as pg_dumpall has them.
func (s *Server) Databases(ctx context.Context) ([]string, error) {
	return s.column(ctx, Maintenance(""), databasesSQL)
}

const databasesSQL = `SELECT datname FROM pg_database
  WHERE datallowconn AND datname <> 'template0' ORDER BY datname <> 'template1', datname;
`

// column returns the only column of a result.
func (s *Server) column(ctx context.Context, database, sql string) ([]string, error) {
	rows, err := s.Query(ctx, database, sql)
	if err != nil {
		return nil, err
	}
	return firstOf(rows), nil
}

// firstOf returns the first column of rows.
func firstOf(rows [][]string) []string {
	all := make([]string, len(rows))
	for n, row := range rows {
		all[n] = row[0]
	}
	return all
}

// CheckClient refuses a program that is older than the server: it would not
// know all that is there.
func (s *Server) CheckClient(ctx context.Context, name string, f *Facts) (tool.Version, error) {
	v, err := tool.VersionOf(ctx, s.Tools, name)
	if err != nil {
		return v, err
	}
	if v.Major < f.Version.Major {
		return v, shield.Errorf(shield.Invalid, "", "%s is of PostgreSQL %d, but the server is PostgreSQL %d: install postgresql-client-%d",
			name, v.Major, f.Version.Major, f.Version.Major)
	}
	return v, nil
}

func (s *Server) log(format string, args ...any) {
	if s.Log != nil {
		s.Log(fmt.Sprintf(format, args...))
	}
}
