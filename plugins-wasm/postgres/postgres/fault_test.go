//go:build linux

package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// TestFaultsOfTools gives the plugin programs that lie.
func TestFaultsOfTools(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	p.SQL("postgres", "CREATE DATABASE empty")
	for _, c := range []struct {
		name, tool, script string
		more               fields
		code               shield.Code
		text               string
	}{
		{"a dump that ends early, exit status 0", "pg_dump", `"$real" "$@" | head -c 6000`, nil, shield.TargetFailed, "ends early"},
		{"a dump that ends early in its contents", "pg_dump", `"$real" "$@" | head -c 600`, nil, shield.TargetFailed, "not whole"},
		{"a dump that ends early, exit status 1", "pg_dump", `"$real" "$@" | head -c 6000; exit 1`, nil, shield.TargetFailed, "exit status 1"},
		{"a dump that is killed", "pg_dump", `"$real" "$@" | head -c 6000; kill -9 $$`, nil, shield.TargetFailed, "killed"},
		{"errors on stderr, exit status 0", "pg_dump", `"$real" "$@"; echo 'pg_dump: error: query failed' >&2`, nil, shield.TargetFailed, "query failed"},
		{"no output at all", "pg_dump", `true`, nil, shield.TargetFailed, "not whole"},
		{"an empty dump of a database that is not empty", "pg_dump", `PGDATABASE=empty; exec "$real" -Fc -Z0 -w empty`, nil, shield.TargetFailed, "none of the 1 tables"},
		{"a cluster: a dump that ends early", "pg_dump", `"$real" "$@" | head -c 4000`, fields{"pg_database": nil}, shield.TargetFailed, "ends early"},
		{"a cluster: an empty dump", "pg_dump", `for a in "$@"; do last=$a; done; exec "$real" -Fp -w empty`, fields{"pg_database": nil}, shield.TargetFailed, "none of the 1 tables"},
		{"a cluster: no roles", "pg_dumpall", `true`, fields{"pg_database": nil}, shield.TargetFailed, "roles"},
		{"files: a copy that ends early", "pg_basebackup", `"$real" "$@" | head -c 1000000`, fields{"pg_database": nil, "method": "physical"}, shield.TargetFailed, "ends early"},
		{"an older program", "pg_dump", `true`, fields{"pg_bindir": older(t, "pg_dump")}, shield.Invalid, "pg_dump is of PostgreSQL 13, but the server is PostgreSQL 15: install postgresql-client-15"},
		{"a missing program", "pg_dump", `true`, fields{"pg_bindir": t.TempDir()}, shield.Invalid, "postgresql-client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			more := fields{"pg_database": "app", "pg_bindir": tool(t, c.tool, c.script)}
			for k, v := range c.more {
				more[k] = v
			}
			_, err := backup(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, p, more))
			wantError(t, err, c.code, c.text)
		})
	}
}

// older returns a folder whose program of a name is of an older version.
func older(t testing.TB, name string) string {
	t.Helper()
	dir := tool(t, name, "")
	script := "#!/bin/sh\necho '" + name + " (PostgreSQL) 13.4'\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestFaultsOfAccounts checks credentials and rights.
func TestFaultsOfAccounts(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	p.SQL("app", `CREATE ROLE reader LOGIN PASSWORD 'reader-pw'; GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader;
SELECT lo_unlink(4242); CREATE TABLE hidden AS SELECT 1 n`)
	reader := fields{"pg_database": "app", "pg_user": "reader", "pg_password": "reader-pw"}
	both(t, func(t *testing.T, o plugin.Opener) {
		t.Run("a wrong password", func(t *testing.T) {
			const wrong = "not-the-password"
			e := endpoint(t, p, fields{"pg_database": "app", "pg_password": wrong})
			target, n := open(t, o, e)
			err := target.Backup(t.Context(), &bytes.Buffer{})
			wantError(t, err, shield.Unauthorized, "password authentication failed")
			if strings.Contains(err.Error()+n.text(), wrong) {
				t.Errorf("the password is told: %v %s", err, n.text())
			}
			wantError(t, target.(plugin.Tester).Test(t.Context()), shield.Unauthorized)
		})
		t.Run("a missing privilege on one table", func(t *testing.T) {
			_, err := backup(t, o, endpoint(t, p, reader))
			wantError(t, err, shield.Forbidden, "permission denied for table hidden", "pg_read_all_data")
			target, _ := open(t, o, endpoint(t, p, reader))
			wantError(t, target.(plugin.Tester).Test(t.Context()), shield.Forbidden, "public.hidden", `GRANT pg_read_all_data TO "reader"`)
		})
		t.Run("a database that does not exist", func(t *testing.T) {
			_, err := backup(t, o, endpoint(t, p, fields{"pg_database": "nope"}))
			wantError(t, err, shield.Invalid, `"nope" does not exist`)
		})
		t.Run("nobody listens", func(t *testing.T) {
			_, err := backup(t, o, endpoint(t, p, fields{"pg_port": testserver.Port(t)}))
			wantError(t, err, shield.Unavailable, "refused")
		})
		t.Run("roles that are missing", func(t *testing.T) {
			p.SQL("postgres", "CREATE ROLE gone")
			p.SQL("app", "CREATE TABLE its (n int); ALTER TABLE its OWNER TO gone")
			b := mustBackup(t, o, endpoint(t, p, fields{"pg_database": "app"}))
			p.SQL("app", "DROP TABLE its")
			p.SQL("postgres", "DROP ROLE gone")
			wantError(t, restore(t, o, endpoint(t, p, fields{"pg_database": "again"}), b), shield.Invalid, "gone", "--no-owner")
			if err := restore(t, o, endpoint(t, p, fields{"pg_database": "again", "pg_restore_options": "--no-owner"}), b); err != nil {
				t.Error(err)
			}
			p.SQL("postgres", "DROP DATABASE again")
		})
	})
	p.SQL("postgres", "GRANT pg_read_all_data TO reader")
	mustBackup(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, p, reader))
	target, _ := open(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, p, reader))
	if err := target.(plugin.Tester).Test(t.Context()); err != nil {
		t.Error(err)
	}
}

// wait polls for what a server does by itself.
func wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(testserver.Patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not happen", what)
		}
	}
}

// TestTableDroppedDuringDump drops a table when pg_dump has seen it and not
// yet locked it.
func TestTableDroppedDuringDump(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	both(t, func(t *testing.T, o plugin.Opener) {
		p.SQL("app", "CREATE TABLE doomed (n int)")
		holder := p.Client("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "app")
		stdin, err := holder.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(stdin, "BEGIN; DROP TABLE doomed;")
		const locks = "SELECT count(*) FROM pg_locks WHERE relation = 'doomed'::regclass AND "
		wait(t, "the lock", func() bool { return p.SQL("app", locks+"granted AND mode = 'AccessExclusiveLock'") == "1" })
		end := make(chan error, 1)
		go func() {
			_, err := backup(t, o, endpoint(t, p, fields{"pg_database": "app"}))
			end <- err
		}()
		wait(t, "pg_dump's wait", func() bool { return p.SQL("app", locks+"NOT granted") == "1" })
		fmt.Fprintln(stdin, "COMMIT;")
		_ = stdin.Close()
		if err := holder.Wait(); err != nil {
			t.Fatal(err)
		}
		wantError(t, <-end, shield.TargetFailed, "doomed", "does not exist")
	})
}

// A trigger calls f once when the first bytes after some arrive.
type trigger struct {
	n, at int
	f     func()
}

func (w *trigger) Write(p []byte) (int, error) {
	w.n += len(p)
	if w.n > w.at && w.f != nil {
		f := w.f
		w.f = nil
		f()
	}
	return len(p), nil
}

// TestServerDies kills the server half way through a backup and a restore.
func TestServerDies(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	// A crash makes sequences skip numbers.
	p.SQL("app", "DROP TABLE t CASCADE; CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) x FROM generate_series(1, 40000) n")
	e := endpoint(t, p, fields{"pg_database": "app"})
	both(t, func(t *testing.T, o plugin.Opener) {
		want := p.DumpOne("app")
		b := mustBackup(t, o, e)
		target, _ := open(t, o, e)
		err := target.Backup(t.Context(), &trigger{at: 1 << 20, f: p.Crash})
		wantError(t, err, shield.Unavailable, "pg_dump: exit status 1")
		p.Run()

		in := &crashReader{r: bytes.NewReader(b), at: len(b) / 2, f: p.Crash}
		target, n := open(t, o, e)
		err = target.Restore(t.Context(), in)
		wantError(t, err, shield.Unavailable, "pg_restore: exit status 1")
		t.Log(n.text())
		p.Run()
		if got := p.DumpOne("app"); got != want {
			t.Error(difference(got, want))
		}
		if err := restore(t, o, e, b); err != nil {
			t.Error(err)
		}
		if got := p.DumpOne("app"); got != want {
			t.Error("after a restore:", difference(got, want))
		}
		if n := p.SQL("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%shield%'"); n != "0" {
			t.Errorf("%s databases are left over", n)
		}
	})
}

// A crashReader calls f before it gives what comes after some bytes.
type crashReader struct {
	r     *bytes.Reader
	n, at int
	f     func()
}

func (c *crashReader) Read(p []byte) (int, error) {
	if c.n >= c.at && c.f != nil {
		f := c.f
		c.f = nil
		f()
	}
	n, err := c.r.Read(p[:min(len(p), 64<<10)])
	c.n += n
	return n, err
}

// TestDiskFull restores more than there is room for.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		testserver.Missing(t, "a small file system needs root")
	}
	p, q := testserver.StartPostgres(t), testserver.StartPostgres(t)
	p.SQL("postgres", "CREATE TABLESPACE tiny LOCATION '"+space(t)+"'")
	p.SQL("postgres", "CREATE DATABASE app TABLESPACE tiny")
	p.SQL("app", "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) x FROM generate_series(1, 40000) n")
	tiny := space(t)
	if err := syscall.Mount("tmpfs", tiny, "tmpfs", 0, "size=30m,mode=777"); err != nil {
		testserver.Missing(t, "no tmpfs: %v", err)
	}
	t.Cleanup(func() {
		q.Kill()
		_ = syscall.Unmount(tiny, syscall.MNT_DETACH)
	})
	room := filepath.Join(tiny, "room")
	if err := os.Mkdir(room, 0o777); err != nil {
		t.Fatal(err)
	}
	own(t, room)
	q.SQL("postgres", "CREATE TABLESPACE tiny LOCATION '"+room+"'")
	q.SQL("postgres", "CREATE DATABASE app")
	q.SQL("app", "CREATE TABLE mine AS SELECT 1 n")
	want := q.DumpOne("app")
	both(t, func(t *testing.T, o plugin.Opener) {
		b := mustBackup(t, o, endpoint(t, p, fields{"pg_database": "app"}))
		err := restore(t, o, endpoint(t, q, fields{"pg_database": "app"}), b)
		wantError(t, err, shield.TargetFailed, "pg_restore", "No space left on device")
		if got := q.DumpOne("app"); got != want {
			t.Error(difference(got, want))
		}
		if n := q.SQL("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%shield%'"); n != "0" {
			t.Errorf("%s databases are left over", n)
		}
	})
}

// TestSameNames restores where the names are taken, also while somebody is
// connected.
func TestSameNames(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	both(t, func(t *testing.T, o plugin.Opener) {
		e := endpoint(t, p, fields{"pg_database": "app"})
		want := p.DumpOne("app")
		b := mustBackup(t, o, e)
		p.SQL("app", "CREATE TABLE since (n int)")
		err := restore(t, o, endpoint(t, p, fields{"pg_database": "app", "pg_existing": "fail"}), b)
		wantError(t, err, shield.Conflict, "app", "exists")
		user := p.Client("psql", "-X", "-q", "-d", "app", "-c", "SELECT pg_sleep(600)")
		if err := user.Start(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the connection", func() bool {
			return p.SQL("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'") == "1"
		})
		if err := restore(t, o, e, b); err != nil {
			t.Error(err)
		}
		if err := user.Wait(); err == nil {
			t.Error("whoever used the old database still does")
		}
		if got := p.DumpOne("app"); got != want {
			t.Error(difference(got, want))
		}
	})
}

// TestRestoreVersions checks that a mismatch names both versions.
func TestRestoreVersions(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	o := shieldtest.Sandboxed(t, "postgres")
	e := endpoint(t, p, fields{"pg_database": "app"})
	b := mustBackup(t, o, e)
	newer := bytes.Replace(b, []byte("15.18"), []byte("18.18"), 1) // the server's; the program's is the second
	wantError(t, restore(t, o, e, newer), shield.Invalid, "PostgreSQL 18", "PostgreSQL 15")
	newer = bytes.Replace(b, []byte("15.18 (Debian"), []byte("18.18 (Debian"), 2)
	newer = bytes.Replace(newer, []byte("18.18 (Debian"), []byte("15.18 (Debian"), 1)
	wantError(t, restore(t, o, e, newer), shield.Invalid, "pg_dump of PostgreSQL 18", "pg_restore is of PostgreSQL 15")
	err := restore(t, o, endpoint(t, p, fields{"pg_database": "app", "pg_bindir": older(t, "pg_restore")}), b)
	wantError(t, err, shield.Invalid, "PostgreSQL 13", "postgresql-client-15")
	var e2 *shield.Error
	err = restore(t, o, e, []byte("nothing of ours, but long enough"))
	if !errors.As(err, &e2) || e2.Code != shield.Corrupt {
		t.Error(err)
	}
}
