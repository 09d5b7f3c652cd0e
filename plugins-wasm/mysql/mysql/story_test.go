//go:build linux

package mysql_test

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

// TestStory: daemon and command line; back up, destroy, restore, compare,
// restore into a second server.
func TestStory(t *testing.T) {
	m, other := testserver.StartMariaDB(t), testserver.StartMariaDB(t)
	m.SQL(content + "USE shop; CREATE TABLE doomed (id INT PRIMARY KEY, v LONGTEXT); CREATE DATABASE other; CREATE TABLE other.t (id INT); GRANT SELECT ON other.t TO clerk@'%';")
	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "mysql"))
	s.Target("all", "mysql", string(endpoint(t, m, nil)))
	s.Target("second", "mysql", string(endpoint(t, other, nil)))
	s.Target("wrong", "mysql", string(endpoint(t, m, map[string]any{"mysql_password": "not-it"})))
	s.Target("clerk", "mysql", string(endpoint(t, m, map[string]any{"mysql_user": "clerk", "mysql_password": "clerk-pw", "mysql_database": "other"})))
	s.Target("short", "mysql", string(endpoint(t, m, map[string]any{"mysql_database": "shop", "mysql_bindir": tools(t, "mariadb-dump", `real "$@" | head -c 100000`)})))
	store := filepath.Join(s.Dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Store("disk", "fs", fmt.Sprintf(`{"base_dir":%q}`, store))
	for _, name := range []string{"all", "wrong", "clerk", "short"} {
		s.Job(name, name, "disk")
	}
	want, people := snapshot(t, m, oddName, "shop", "other"), accounts(t, m)
	a := s.Backup("all")
	m.SQL("DROP DATABASE shop; DROP DATABASE " + quoteName(oddName) + "; DROP USER clerk@'%'; DROP ROLE seller; CREATE DATABASE shop; CREATE TABLE shop.customers (other INT);")
	s.Restore(a.UUID, "")
	s.Restore(a.UUID, "second")
	for _, to := range []*testserver.MariaDB{m, other} {
		same(t, snapshot(t, to, oddName, "shop", "other"), want)
		same(t, accounts(t, to), people)
	}
	for name, text := range map[string]string{"wrong": "1045", "clerk": "lacks SELECT", "short": "before its mark"} {
		out, stderr, status := s.Try("run", "job", name, "--wait")
		if status == 0 || !strings.Contains(stderr, "target "+name) || !strings.Contains(stderr, text) {
			t.Errorf("%s: status %d: %s%s", name, status, out, stderr)
		}
		if strings.Contains(out+stderr+s.Log(), "not-it") || strings.Contains(out+stderr+s.Log(), m.Password) {
			t.Error("a password is shown")
		}
	}
	if n := len(s.Archives()); n != 1 {
		t.Errorf("%d archives, want 1", n)
	}
}

// TestReplica backs up from a replica that follows, and from none other.
func TestReplica(t *testing.T) {
	m, replica := testserver.StartMariaDB(t), testserver.StartMariaDB(t)
	follow := fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='root', MASTER_PASSWORD='root-pw', MASTER_USE_GTID=slave_pos; ", m.Port)
	e := endpoint(t, m, map[string]any{"mysql_database": "a", "mysql_read_replica": replica.Addr})
	wantReplica := func(text string) {
		t.Helper()
		var b strings.Builder
		wantError(t, target(t, e).Backup(t.Context(), &b), "invalid", text)
	}
	wantReplica("is no replica of another")
	replica.SQL("RESET MASTER; SET GLOBAL gtid_slave_pos=''; " + follow + "START SLAVE;")
	m.SQL("CREATE DATABASE a; CREATE TABLE a.t (id INT PRIMARY KEY); INSERT INTO a.t VALUES (1);")
	position := strings.TrimSpace(m.SQL("SELECT @@gtid_binlog_pos"))
	if got := replica.SQL("SELECT MASTER_GTID_WAIT('" + position + "', 60)"); got != "0\n" {
		t.Fatalf("the replica does not follow: %s", replica.SQL("SHOW SLAVE STATUS\\G"))
	}
	replica.SQL("SET GLOBAL general_log = 1; SET GLOBAL log_output = 'TABLE'")
	archive := backup(t, e)
	if got := replica.SQL("SELECT COUNT(*) > 0 FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4) LIKE 'SELECT /*!40001 SQL_NO_CACHE */%'"); got != "1\n" {
		t.Error("the dump was not made on the replica")
	}
	m.SQL("DROP TABLE a.t")
	restore(t, e, archive)
	if got := m.SQL("SELECT * FROM a.t"); got != "1\n" {
		t.Errorf("%q", got)
	}
	replica.SQL("STOP SLAVE SQL_THREAD")
	wantReplica("stands still: Replica_SQL_Running")
}

// The script that operators can read works.
func TestExample(t *testing.T) {
	testserver.Tool(t, "mariabackup") // so that CI has all of it
	cmd := exec.Command("../../../examples/targets/mysql.sh", shieldtest.Module(t, "mysql"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+os.Getenv("PATH")+":/usr/sbin", fmt.Sprintf("MYSQL_PORT=%d", testserver.Port(t)))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every row is back") {
		t.Errorf("%v: %s", err, out)
	}
}
