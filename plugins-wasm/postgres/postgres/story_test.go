//go:build linux

package postgres_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

// million is a table of a million rows, and what to compare of it without
// dumping it.
const (
	million  = `CREATE TABLE million AS SELECT n::int AS id, md5(n::text) AS sum, n * 1.5 AS value FROM generate_series(1, 1000000) n; ALTER TABLE million ADD PRIMARY KEY (id)`
	checksum = `SELECT count(*), sum(id), sum(value), md5(string_agg(sum, ',' ORDER BY id)) FROM million`
)

// TestStory goes through a daemon, a store and the command line: backup,
// disaster, restore, and a restore into a second server.
func TestStory(t *testing.T) {
	p, q := testserver.StartPostgres(t), testserver.StartPostgres(t)
	varied(p)
	p.SQL("app", million)
	q.SQL("postgres", "CREATE ROLE boss") // owns what is in app
	q.SQL("postgres", `CREATE ROLE "od'd ""role"`)
	one, all, sum := p.DumpOne("app"), cluster(p), p.SQL("app", checksum)

	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "postgres"))
	if err := os.Mkdir(filepath.Join(s.Dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Store("disk", "fs", `{"base_dir":"`+filepath.Join(s.Dir, "store")+`"}`)
	target := func(name string, server *testserver.Postgres, more fields) {
		s.Target(name, "postgres", string(endpoint(t, server, more)))
	}
	data := filepath.Join(testserver.Dir(t), "data")
	target("app", p, fields{"pg_database": "app"})
	target("all", p, nil)
	target("files", p, fields{"method": "physical"})
	target("app2", q, fields{"pg_database": "app"})
	target("all2", q, nil)
	target("files2", p, fields{"method": "physical", "pg_data_dir": data})
	for _, name := range []string{"app", "all", "files"} {
		s.Job(name, name, "disk")
	}
	a, b, c := s.Backup("app"), s.Backup("all"), s.Backup("files")

	compare := func(what string, server *testserver.Postgres, dump func() string, want string) {
		t.Helper()
		if got := dump(); got != want {
			t.Errorf("%s: %s", what, difference(got, want))
		}
		if got := server.SQL("app", checksum); got != sum {
			t.Errorf("%s: the million rows are %s, want %s", what, got, sum)
		}
	}
	p.SQL("postgres", "DROP DATABASE app")
	s.Restore(a.UUID, "")
	compare("app", p, func() string { return p.DumpOne("app") }, one)
	s.Restore(a.UUID, "app2")
	compare("app in another server", q, func() string { return q.DumpOne("app") }, one)

	p.SQL("postgres", `DROP DATABASE app; DROP DATABASE "Ünïcode db"; DROP DATABASE none; DROP TABLE in_postgres; DROP ROLE "od'd ""role"; DROP ROLE boss`)
	s.Restore(b.UUID, "")
	compare("all", p, func() string { return cluster(p) }, all)
	s.Restore(b.UUID, "all2")
	compare("all in another server", q, func() string { return cluster(q) }, all)

	if os.Getuid() == 0 { // only root can give the files to postgres
		s.Restore(c.UUID, "files2")
		r := testserver.StartPostgresIn(t, data)
		compare("files", r, func() string { return cluster(r) }, all)
	}
	failures(t, s, p)
}

// failures checks that what fails is told as the target's failure and leaves
// nothing behind: no archive, nothing in the store.
func failures(t *testing.T, s *shieldtest.System, p *testserver.Postgres) {
	t.Helper()
	p.SQL("app", "CREATE ROLE reader LOGIN PASSWORD 'reader-pw'")
	store := filepath.Join(s.Dir, "store")
	before, archives := blobs(t, store), len(s.Archives())
	for n, c := range []struct {
		more fields
		text string
	}{
		{fields{"pg_password": "not-it-at-all"}, "password authentication failed"},
		{fields{"pg_user": "reader", "pg_password": "reader-pw"}, "permission denied"},
		{fields{"pg_bindir": tool(t, "pg_dump", `"$real" "$@" | head -c 3000000`)}, "ends early"},
		{fields{"pg_bindir": tool(t, "pg_dump", `"$real" "$@"; echo 'pg_dump: error: lost' >&2`)}, "pg_dump: exit status 0, but it complained: error: lost"},
		{fields{"pg_bindir": older(t, "pg_dump")}, "PostgreSQL 13, but the server is PostgreSQL 15"},
	} {
		name := fmt.Sprintf("bad%d", n)
		c.more["pg_database"] = "app"
		s.Target(name, "postgres", string(endpoint(t, p, c.more)))
		s.Job(name, name, "disk")
		out, stderr, status := s.Try("run", "job", name, "--wait")
		if status == 0 || !strings.Contains(stderr, "target "+name) || !strings.Contains(stderr, c.text) {
			t.Errorf("%s: status %d: %s%s", c.text, status, out, stderr)
		}
		if strings.Contains(out+stderr+s.Log(), "not-it-at-all") || strings.Contains(out+stderr+s.Log(), p.Password) {
			t.Errorf("%s: a password is shown", c.text)
		}
	}
	if after := blobs(t, store); after != before || len(s.Archives()) != archives {
		t.Errorf("%d blobs and %d archives, want %d and %d", after, len(s.Archives()), before, archives)
	}
}

func blobs(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestExample runs the script that operators can read.
func TestExample(t *testing.T) {
	testserver.Tool(t, filepath.Join(testserver.PostgresBin, "initdb"))
	cmd := exec.Command("../../../examples/targets/postgres.sh", shieldtest.Module(t, "postgres"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+os.Getenv("PATH"), fmt.Sprintf("PGPORT=%d", testserver.Port(t)))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every row is back") {
		t.Errorf("%v: %s", err, out)
	}
}
