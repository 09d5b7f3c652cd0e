//go:build linux

package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// TestFiles copies the files of a cluster and starts a server from the copy.
func TestFiles(t *testing.T) {
	if os.Getuid() != 0 {
		testserver.Missing(t, "giving files to postgres needs root")
	}
	p := testserver.StartPostgres(t)
	varied(p)
	want := p.Dump()
	both(t, func(t *testing.T, o plugin.Opener) {
		b := mustBackup(t, o, endpoint(t, p, fields{"method": "physical"}))
		data := filepath.Join(testserver.Dir(t), "data")
		e := endpoint(t, p, fields{"method": "physical", "pg_data_dir": data, "pg_bindir": testserver.PostgresBin})
		target, n := open(t, o, e)
		if err := target.Restore(t.Context(), strings.NewReader(string(b))); err != nil {
			t.Fatalf("%v\n%s", err, n.text())
		}
		if !strings.Contains(n.text(), "the files are those of the backup") {
			t.Errorf("not verified: %s", n.text())
		}
		fi, err := os.Stat(data)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.Stat(p.Data)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != theirs.Mode() || fi.Sys().(*syscall.Stat_t).Uid != theirs.Sys().(*syscall.Stat_t).Uid {
			t.Errorf("the folder has mode %s, want %s, or another owner", fi.Mode(), theirs.Mode())
		}
		q := testserver.StartPostgresIn(t, data)
		if got := q.Dump(); got != want {
			t.Error(difference(got, want))
		}
		wantError(t, restore(t, o, e, b), shield.Conflict, data, "not empty")
		wantError(t, restore(t, o, endpoint(t, p, nil), b), shield.Invalid, "endpoint.method")
		wantError(t, restore(t, o, endpoint(t, p, fields{"method": "physical"}), b), shield.Invalid, "pg_data_dir")
	})
}

// TestFilesDamaged checks that what is not as it was copied is not taken for
// a restore.
func TestFilesDamaged(t *testing.T) {
	p := testserver.StartPostgres(t)
	o := shieldtest.Sandboxed(t, "postgres")
	b := mustBackup(t, o, endpoint(t, p, fields{"method": "physical"}))
	damaged := []byte(strings.Replace(string(b), "# PostgreSQL Client Authentication Configuration File", "# PostgreSQL Client Authentication Configuration FILE", 1))
	e := func() shield.Endpoint {
		return endpoint(t, p, fields{"method": "physical", "pg_data_dir": filepath.Join(testserver.Dir(t), "data"), "pg_bindir": testserver.PostgresBin})
	}
	wantError(t, restore(t, o, e(), damaged), shield.Corrupt, "pg_hba.conf")
	wantError(t, restore(t, o, e(), b[:len(b)/2]), shield.Corrupt)

	old := tool(t, "postgres", "")
	script := "#!/bin/sh\necho postgres '(PostgreSQL)' 14.9\n"
	if err := os.WriteFile(filepath.Join(old, "postgres"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	err := restore(t, o, endpoint(t, p, fields{"method": "physical", "pg_data_dir": filepath.Join(testserver.Dir(t), "data"), "pg_bindir": old}), b)
	wantError(t, err, shield.Invalid, "PostgreSQL 15", "PostgreSQL 14")
}

// TestFilesRights checks what the account needs.
func TestFilesRights(t *testing.T) {
	p := testserver.StartPostgres(t)
	p.SQL("postgres", "CREATE ROLE reader LOGIN PASSWORD 'pw'")
	e := endpoint(t, p, fields{"method": "physical", "pg_user": "reader", "pg_password": "pw"})
	_, err := backup(t, shieldtest.Sandboxed(t, "postgres"), e)
	wantError(t, err, shield.Forbidden, `ALTER ROLE "reader" REPLICATION`)
	target, _ := open(t, shieldtest.Sandboxed(t, "postgres"), e)
	wantError(t, target.(plugin.Tester).Test(t.Context()), shield.Forbidden, "REPLICATION")
	p.SQL("postgres", "CREATE TABLESPACE far LOCATION '"+space(t)+"'")
	_, err = backup(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, p, fields{"method": "physical"}))
	wantError(t, err, shield.TargetFailed, "single tablespace")
}

// space returns a folder that belongs to the server.
func space(t testing.TB) string {
	t.Helper()
	dir := testserver.Dir(t)
	own(t, dir)
	return dir
}

// own gives a folder to the user that servers run as.
func own(t testing.TB, dir string) {
	t.Helper()
	fi, err := os.Stat("/var/lib/postgresql")
	if err != nil || os.Getuid() != 0 {
		testserver.Missing(t, "a tablespace needs root and Debian's PostgreSQL: %v", err)
	}
	st := fi.Sys().(*syscall.Stat_t)
	if err := os.Chown(dir, int(st.Uid), int(st.Gid)); err != nil {
		t.Fatal(err)
	}
}
