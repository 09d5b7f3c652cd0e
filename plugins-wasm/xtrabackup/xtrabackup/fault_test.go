//go:build linux

package xtrabackup_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// tools returns a folder with the tools, in which the named one is a script:
// "real" runs the real one with its arguments.
func tools(t testing.TB, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"mariadb", "mariabackup", "mbstream"} {
		path := testserver.Tool(t, tool)
		if tool != name {
			if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text := "#!/bin/sh\nreal() { " + path + " \"$@\"; }\ncase $1 in --version) real --version; exit;; esac\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, tool), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// An act is a writer that does something once some bytes have come.
type act struct {
	after int
	do    func()
}

func (a *act) Write(p []byte) (int, error) {
	if a.after -= len(p); a.after < 0 && a.do != nil {
		do := a.do
		a.do = nil
		do()
	}
	return len(p), nil
}

// TestBackupFails: tools and servers that fail, in every way that does not
// show in the exit status, too.
func TestBackupFails(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL(accounts + "CREATE USER u@localhost IDENTIFIED BY 'u-pw'; GRANT RELOAD ON *.* TO u@localhost")
	seen := filepath.Join(t.TempDir(), "seen")
	for _, c := range []struct {
		name   string
		fields map[string]any
		script string
		code   shield.Code
		text   string
	}{
		{"the stream ends early", nil, `real "$@" 2>/dev/null | head -c 1000000; echo "completed OK!" >&2`, shield.TargetFailed, "ends within a file"},
		{"not completed", nil, `real "$@" 2>/dev/null`, shield.TargetFailed, `does not say "completed OK!"`},
		{"errors with status 0", nil, `echo "[00] 2026-01-01 00:00:00 Error: cannot read a page" >&2; real "$@"`, shield.TargetFailed, "exit status 0, but it complained.*cannot read a page"},
		{"nothing at all", nil, `exit 0`, shield.TargetFailed, `does not say "completed OK!"`},
		{"status 1", nil, `real "$@"; exit 1`, shield.TargetFailed, "exit status 1"},
		{"wrong password", map[string]any{"mysql_password": "wrong"}, `real "$@"`, shield.Unauthorized, "1045"},
		{"missing privileges", map[string]any{"mysql_user": "u", "mysql_password": "u-pw"}, `real "$@"`, shield.Forbidden, "lacks PROCESS, LOCK TABLES.*GRANT PROCESS, LOCK TABLES ON"},
		{"the wrong data folder", map[string]any{"mysql_datadir": "/nonexistent"}, `real "$@"`, shield.Invalid, "mysql_datadir.*/nonexistent.*the server says that it is /"},
		{"no secret on the command line", nil, `echo "$@" > ` + seen + `; real "$@"`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields := map[string]any{"mysql_bindir": tools(t, "mariabackup", c.script)}
			for name, value := range c.fields {
				fields[name] = value
			}
			err := target(t, endpoint(t, m, fields)).Backup(t.Context(), &bytes.Buffer{})
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, c.code, c.text)
		})
	}
	if line, err := os.ReadFile(seen); err != nil || strings.Contains(string(line), m.Password) {
		t.Errorf("%s, %v", line, err)
	}
	t.Run("an old tool", func(t *testing.T) {
		dir := tools(t, "mariabackup", "")
		script := "#!/bin/sh\necho 'mariabackup based on MariaDB server 10.5.2-MariaDB Linux (x86_64)' >&2\n"
		if err := os.WriteFile(filepath.Join(dir, "mariabackup"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		e := endpoint(t, m, map[string]any{"mysql_bindir": dir})
		wantError(t, target(t, e).(plugin.Tester).Test(t.Context()), shield.Invalid, `10\.5\.2.*10\.11`)
	})
	t.Run("the server dies", func(t *testing.T) {
		err := target(t, endpoint(t, m, nil)).Backup(t.Context(), &act{200000, m.Kill})
		if err == nil {
			t.Error("no error")
		}
	})
	t.Run("the server is down", func(t *testing.T) {
		wantError(t, target(t, endpoint(t, m, nil)).(plugin.Tester).Test(t.Context()), shield.Unavailable, "2002")
	})
}

// TestRestoreFails: a restore that fails leaves the data folder as it was.
func TestRestoreFails(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; CREATE TABLE a.t (id INT PRIMARY KEY)")
	archive := backup(t, endpoint(t, m, nil))
	to := emptied(t)
	try := func(fields map[string]any, archive []byte) error {
		return target(t, endpoint(t, to, fields)).Restore(t.Context(), bytes.NewReader(archive))
	}
	t.Run("the server runs", func(t *testing.T) {
		wantError(t, target(t, endpoint(t, m, nil)).Restore(t.Context(), bytes.NewReader(archive)), shield.Conflict, "a server runs on .*: stop it")
	})
	for _, c := range []struct {
		name    string
		fields  map[string]any
		archive []byte
		code    shield.Code
		text    string
	}{
		{"cut off", nil, archive[:len(archive)/2], shield.TargetFailed, "unexpected end of stream|my_read"},
		{"empty", nil, nil, shield.Corrupt, "ends within its first chunk"},
		{"something else", nil, []byte(strings.Repeat("hello ", 100)), shield.Corrupt, "no xbstream"},
		{"a bit has flipped", nil, flipped(archive), shield.TargetFailed, "invalid checksum"},
		{"of another series", nil, bytes.Replace(archive, []byte("10.11."), []byte("10.12."), 1), shield.Corrupt, "damaged"},
		{"the disk is full", map[string]any{"mysql_bindir": tools(t, "mbstream", `cat | head -c 100000 >/dev/null; echo "mbstream: Error writing file './ibdata1' (Errcode: 28 \"No space left on device\")" >&2; exit 1`)}, archive, shield.TargetFailed, "No space left"},
		{"prepare fails", map[string]any{"mysql_bindir": tools(t, "mariabackup", `echo "[ERROR] InnoDB: the log is corrupted" >&2; exit 1`)}, archive, shield.TargetFailed, "log is corrupted"},
		{"no such owner", map[string]any{"mysql_owner": "nobody-at-all"}, archive, shield.TargetFailed, "nobody-at-all"},
		{"no such folder", map[string]any{"mysql_datadir": "/nonexistent"}, archive, shield.Invalid, "no such folder"},
		{"cannot be started", map[string]any{"mysql_start": true}, archive, shield.TargetFailed, "the data is back in .*mysql-start is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantError(t, try(c.fields, c.archive), c.code, c.text)
			entries, err := os.ReadDir(to.Data)
			if (len(entries) > 0) != (c.name == "cannot be started") || err != nil {
				t.Errorf("the folder has %v, %v", entries, err)
			}
		})
	}
	t.Run("does not stay", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "mysql-start"), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		again := emptied(t)
		e := endpoint(t, again, map[string]any{"mysql_start": true, "mysql_start_timeout": "1s"})
		wantError(t, target(t, e).Restore(t.Context(), bytes.NewReader(archive)), shield.Unavailable, "the data is back in .*was not started.*2002")
	})
	t.Run("not empty", func(t *testing.T) {
		wantError(t, try(nil, archive), shield.Conflict, "is not empty, .* for one is in it")
	})
	t.Run("after a restore that was killed", func(t *testing.T) {
		again := emptied(t)
		if err := os.MkdirAll(filepath.Join(again.Data, ".shield-restore", "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := target(t, endpoint(t, again, nil)).Restore(t.Context(), bytes.NewReader(archive)); err != nil {
			t.Fatal(err)
		}
		testserver.As(t, exec.Command("true"), "mysql", again.Dir)
		again.Run()
		again.SQL("SELECT * FROM a.t")
	})
}

// flipped returns a copy with another bit in its middle.
func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}
