//go:build linux

package testserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// PostgresVersion is the major version that tests are written for.
const PostgresVersion = 15

// PostgresBin is the folder of PostgreSQL's programs.
var PostgresBin = fmt.Sprintf("/usr/lib/postgresql/%d/bin", PostgresVersion)

// Postgres is a running PostgreSQL server, also reached by a socket in its
// folder. Its superuser has a password everywhere.
type Postgres struct {
	*Process
	t        testing.TB
	Dir      string // of the socket
	Data     string
	Port     int
	User     string
	Password string
	settings []string
}

// StartPostgres makes a cluster and runs a server on it, which takes no care
// of the disk. Settings are like "max_connections=20".
func StartPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	return StartPostgresIn(t, filepath.Join(Dir(t), "data"), settings...)
}

// StartPostgresIn is StartPostgres with a data folder, which is made, or used
// as it is if it has a cluster. The folder that it is in has to exist.
func StartPostgresIn(t testing.TB, data string, settings ...string) *Postgres {
	t.Helper()
	p := &Postgres{t: t, Dir: Dir(t), Data: data, Port: Port(t), User: "postgres", Password: "postgres-pw", settings: settings}
	parent := filepath.Dir(data)
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		pw := filepath.Join(p.Dir, "pw")
		if err := os.WriteFile(pw, []byte(p.Password), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := p.tool("initdb", "-D", data, "-U", p.User, "-A", "scram-sha-256", "--pwfile="+pw, "-N", "-E", "UTF8", "--no-locale")
		As(t, cmd, "postgres", parent)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("initdb: %v\n%s", err, out)
		}
	}
	p.Run()
	return p
}

// tool returns a command that runs one of PostgreSQL's programs in the
// server's folder.
func (p *Postgres) tool(name string, args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := exec.Command(Tool(p.t, filepath.Join(PostgresBin, name)), args...)
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), "LC_ALL=C")
	return cmd
}

// Run starts the server, for the first time or after it was ended.
func (p *Postgres) Run() {
	p.t.Helper()
	args := []string{
		"-D", p.Data, "-p", strconv.Itoa(p.Port), "-k", p.Dir, "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync=off", "-c", "max_wal_senders=4", "-c", "shared_buffers=32MB", "-c", "max_wal_size=512MB",
	}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	cmd := p.tool("postgres", args...)
	As(p.t, cmd, "postgres", p.Dir)
	p.Process = Start(p.t, cmd, p.ready)
}

func (p *Postgres) ready(ctx context.Context) error {
	cmd := p.tool("pg_isready", "-q", "-h", p.Dir, "-p", strconv.Itoa(p.Port))
	return cmd.Run()
}

// Addr is where the server listens.
func (p *Postgres) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)) }

// Client returns a command that runs a program as a client of the server.
func (p *Postgres) Client(name string, args ...string) *exec.Cmd {
	p.t.Helper()
	cmd := p.tool(name, args...)
	cmd.Env = append(cmd.Env, "PGHOST=127.0.0.1", "PGPORT="+strconv.Itoa(p.Port), "PGUSER="+p.User, "PGPASSWORD="+p.Password)
	return cmd
}

// SQL runs SQL in a database and returns what it prints, a line a row.
func (p *Postgres) SQL(database, sql string) string {
	p.t.Helper()
	cmd := p.Client("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-")
	cmd.Stdin = strings.NewReader(sql)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%s\n%v: %s", sql, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// whatDiffers are lines of a dump that differ although the content does not.
var whatDiffers = regexp.MustCompile(`(?m)^(\\(un)?restrict .*|-- (Dumped|Started|Completed).*)\n`)

// Dump returns all databases as pg_dumpall prints them, without what differs
// from one server to another.
func (p *Postgres) Dump() string {
	p.t.Helper()
	out, err := p.Client("pg_dumpall", "-w").Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return whatDiffers.ReplaceAllString(string(out), "")
}

// DumpOne returns one database as pg_dump prints it, without what differs.
func (p *Postgres) DumpOne(database string) string {
	p.t.Helper()
	out, err := p.Client("pg_dump", "-w", "-C", database).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return whatDiffers.ReplaceAllString(string(out), "")
}

// Crash ends the server at once, as a crash of the machine does.
func (p *Postgres) Crash() {
	p.t.Helper()
	p.Process.Signal(syscall.SIGQUIT)
	<-p.exited
	p.Kill()
}
