//go:build linux

package mysql_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
	for _, tool := range []string{"mariadb", "mariadb-dump"} {
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

// TestTools: tools that end well although the dump is not whole, and tools
// that do not fit.
func TestTools(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_1000; CREATE TABLE u (id INT);")
	m.SQL("CREATE DATABASE big; USE big; CREATE TABLE t (v LONGTEXT); INSERT INTO t VALUES (REPEAT('x', 300000));")
	secrets := filepath.Join(t.TempDir(), "seen")
	for _, c := range []struct {
		name, database, script string
		code                   shield.Code
		text                   string
	}{
		{"the dump ends early", "a", `real "$@" | head -c 3000`, shield.TargetFailed, "before its mark"},
		{"a long dump ends early", "big", `real "$@" | head -c 200000`, shield.TargetFailed, "before its mark"},
		{"errors with status 0", "a", `real "$@"; echo "mysqldump: Couldn't execute 'SHOW FIELDS': no such table (1146)" >&2`, shield.TargetFailed, "exit status 0, but it complained.*SHOW FIELDS"},
		{"warnings with status 0", "a", `real "$@"; echo "mysqldump: [Warning] Using a password can be insecure" >&2`, "", ""},
		{"status 2", "a", `real "$@"; echo "mysqldump: Got error: 2013: Lost connection" >&2; exit 2`, shield.Unavailable, "exit status 2: .*Got error: 2013"},
		{"an empty dump", "a", `echo "-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for Linux (x86_64)"; echo "-- Dump completed"`, shield.TargetFailed, "0 tables and the server 2"},
		{"a table is missing", "a", `first=$1; shift; real "$first" --ignore-table=a.u "$@"`, shield.TargetFailed, "1 tables and the server 2"},
		{"nothing at all", "a", `exit 0`, shield.TargetFailed, "before its mark"},
		{"a signal", "a", `real "$@"; kill -9 $$`, shield.TargetFailed, "killed"},
		{"no secret on the command line", "a", `echo "$@" > ` + secrets + `; stat -c %a . my.cnf >> ` + secrets + `; pwd >> ` + secrets + `; real "$@"`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := endpoint(t, m, map[string]any{"mysql_database": c.database, "mysql_bindir": tools(t, "mariadb-dump", c.script)})
			var b bytes.Buffer
			err := target(t, e).Backup(t.Context(), &b)
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, c.code, c.text)
		})
	}
	seen, err := os.ReadFile(secrets)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(seen)), "\n")
	if len(lines) != 4 || strings.Contains(lines[0], m.Password) || lines[1] != "700" || lines[2] != "600" {
		t.Errorf("%q", lines)
	}
	if _, err := os.Stat(lines[3]); err == nil {
		t.Errorf("%s is still there", lines[3])
	}
	t.Run("no tool", func(t *testing.T) {
		e := endpoint(t, m, map[string]any{"mysql_bindir": t.TempDir()})
		wantError(t, target(t, e).Backup(t.Context(), &bytes.Buffer{}), shield.Invalid, "mysql_bindir.*there is no mariadb in it.*mariadb-client")
	})
	t.Run("an old tool", func(t *testing.T) {
		dir := tools(t, "mariadb-dump", "")
		script := "#!/bin/sh\necho 'mariadb-dump  Ver 10.19 Distrib 10.5.2-MariaDB, for Linux (x86_64)'\n"
		if err := os.WriteFile(filepath.Join(dir, "mariadb-dump"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		e := endpoint(t, m, map[string]any{"mysql_bindir": dir})
		wantError(t, target(t, e).Backup(t.Context(), &bytes.Buffer{}), shield.Invalid, `10\.5\.2.*10\.11`)
	})
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

// TestDuring: what happens to the server while it is dumped.
func TestDuring(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE a_first (id INT PRIMARY KEY, v LONGTEXT); INSERT INTO a_first SELECT seq, REPEAT('x', 1000000) FROM seq_1_to_24; CREATE TABLE z_last (id INT);")
	t.Run("a table is dropped", func(t *testing.T) {
		err := target(t, endpoint(t, m, map[string]any{"mysql_database": "a"})).Backup(t.Context(), &act{100000, func() { m.SQL("DROP TABLE a.z_last") }})
		wantError(t, err, shield.TargetFailed, "z_last.*(1146|doesn't exist)")
	})
	t.Run("the server dies", func(t *testing.T) {
		err := target(t, endpoint(t, m, map[string]any{"mysql_database": "a"})).Backup(t.Context(), &act{100000, m.Kill})
		wantError(t, err, shield.Unavailable, "2013|Lost connection")
	})
	t.Run("the server is down", func(t *testing.T) {
		for _, fields := range []map[string]any{nil, {"mysql_socket": m.Socket}} {
			e := endpoint(t, m, fields)
			wantError(t, target(t, e).Backup(t.Context(), &bytes.Buffer{}), shield.Unavailable, "2002|2003|refused")
			wantError(t, target(t, e).(plugin.Tester).Test(t.Context()), shield.Unavailable, "2002|2003|refused")
		}
	})
}

// TestAccount: accounts that must not see everything.
func TestAccount(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE hidden (id INT); CREATE DATABASE b; CREATE USER u@'%' IDENTIFIED BY 'it''s \"#\\\\ü;'; GRANT SELECT ON a.t TO u@'%'")
	e := func(fields map[string]any) shield.Endpoint {
		all := map[string]any{"mysql_user": "u", "mysql_password": `it's "#\ü;`, "mysql_database": "a"}
		for name, value := range fields {
			all[name] = value
		}
		return endpoint(t, m, all)
	}
	try := func(fields map[string]any) error {
		err := target(t, e(fields)).Backup(t.Context(), &bytes.Buffer{})
		if test := target(t, e(fields)).(plugin.Tester).Test(t.Context()); fmt.Sprint(test) != fmt.Sprint(err) {
			t.Errorf("test says %v, backup %v", test, err)
		}
		return err
	}
	wantError(t, try(map[string]any{"mysql_password": "wrong"}), shield.Unauthorized, "1045")
	wantError(t, try(map[string]any{"mysql_user": "nobody"}), shield.Unauthorized, "1045")
	wantError(t, try(nil), shield.Forbidden, "'u'@'%' lacks SELECT, SHOW VIEW, TRIGGER, EVENT on all of the database a.*GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `a`.* TO 'u'@'%'")
	m.SQL("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON a.* TO u@'%'")
	wantError(t, try(nil), shield.Forbidden, "routines.*GRANT SELECT ON mysql.proc TO 'u'@'%'")
	m.SQL("GRANT SELECT ON mysql.proc TO u@'%'")
	if err := try(nil); err != nil {
		t.Error(err)
	}
	wantError(t, try(map[string]any{"mysql_consistency": "lock"}), shield.Forbidden, "RELOAD")
	wantError(t, try(map[string]any{"mysql_database": ""}), shield.Forbidden, "on everything")
	wantError(t, try(map[string]any{"mysql_database": "a,b"}), shield.NotFound, `"b"`)
	m.SQL("CREATE ROLE r; GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, RELOAD ON *.* TO r; GRANT r TO u@'%'; SET DEFAULT ROLE r FOR u@'%'; REVOKE ALL ON a.* FROM u@'%'")
	for _, fields := range []map[string]any{nil, {"mysql_database": ""}, {"mysql_consistency": "lock"}} {
		if err := try(fields); err != nil {
			t.Error(err)
		}
	}
	err := target(t, e(nil)).Restore(t.Context(), bytes.NewReader(backup(t, endpoint(t, m, map[string]any{"mysql_database": "a"}))))
	wantError(t, err, shield.Forbidden, "1044|1142|1227")
}

// TestExisting: a restore into a server that has the same names.
func TestExisting(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)")
	e := func(existing string) shield.Endpoint {
		return endpoint(t, m, map[string]any{"mysql_database": "a", "mysql_existing": existing})
	}
	archive := backup(t, e("replace"))
	m.SQL("USE a; DROP TABLE t; CREATE TABLE t (other TEXT, more INT); INSERT INTO t VALUES ('x', 2); CREATE TABLE extra (id INT)")
	wantError(t, target(t, e("refuse")).Restore(t.Context(), bytes.NewReader(archive)), shield.Conflict, "a on .* has tables already, (extra|t) for one")
	tables := func() string {
		return strings.Join(strings.Fields(m.SQL("SHOW TABLES FROM a; SELECT * FROM a.t")), " ")
	}
	for _, c := range [][2]string{{"replace", "extra t 1"}, {"drop", "t 1"}} {
		restore(t, e(c[0]), archive)
		if got := tables(); got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	m.SQL("DROP DATABASE a")
	restore(t, e("refuse"), archive)
	if got := tables(); got != "t 1" {
		t.Errorf("%q", got)
	}
}

// TestDiskFull: the server has no room for what is restored.
func TestDiskFull(t *testing.T) {
	m := testserver.StartMariaDB(t, "--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:16M", "--innodb-log-file-size=4M")
	other := testserver.StartMariaDB(t)
	other.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT); INSERT INTO t SELECT seq, REPEAT('x', 1000000) FROM seq_1_to_20")
	e := map[string]any{"mysql_database": "a"}
	err := target(t, endpoint(t, m, e)).Restore(t.Context(), bytes.NewReader(backup(t, endpoint(t, other, e))))
	wantError(t, err, shield.TargetFailed, "1114.*full")
}

// TestRestoreFails: what is restored is not what it should be.
func TestRestoreFails(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT); INSERT INTO t SELECT seq, REPEAT('x', 100000) FROM seq_1_to_20")
	e := endpoint(t, m, map[string]any{"mysql_database": "a"})
	archive := backup(t, e)
	head, rest, _ := bytes.Cut(archive, []byte("\n"))
	for _, c := range []struct {
		name, archive string
		code          shield.Code
		text          string
	}{
		{"empty", "", shield.Corrupt, "ends before"},
		{"something else", "hello\n" + string(archive), shield.Corrupt, "does not begin as a dump"},
		{"an error within", string(head) + "\nINSERT INTO a.missing VALUES (1);\n" + string(rest), shield.TargetFailed, "1146.*missing"},
		{"of a newer server", strings.Replace(string(head), "10.11.", "11.4.", 1) + "\n" + string(rest), shield.Invalid, `MariaDB 11\.4.*MariaDB 10\.11`},
		{"of another maker", strings.Replace(string(head), `-MariaDB"`, `"`, 1) + "\n" + string(rest), shield.Invalid, `MySQL 10.*MariaDB 10\.11`},
		{"without its tables", string(head) + "\n-- Dump completed\n", shield.TargetFailed, "0 tables are there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.SQL("DROP DATABASE IF EXISTS a")
			wantError(t, target(t, e).Restore(t.Context(), strings.NewReader(c.archive)), c.code, c.text)
		})
	}
	t.Run("the server dies", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := &killing{Reader: bytes.NewReader(archive), at: len(archive) / 2, kill: func() { m.Signal(syscall.SIGKILL) }}
		wantError(t, target(t, e).Restore(ctx, r), shield.Unavailable, "2013|2006|Lost|gone away")
	})
}

// A killing reader calls kill once it has given so much.
type killing struct {
	io.Reader
	at   int
	kill func()
}

func (k *killing) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p[:min(len(p), 4096)])
	if k.at -= n; k.at < 0 && k.kill != nil {
		k.kill()
		k.kill = nil
	}
	return n, err
}
