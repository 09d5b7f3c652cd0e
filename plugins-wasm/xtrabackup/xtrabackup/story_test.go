//go:build linux

package xtrabackup_test

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
	m, other := testserver.StartMariaDB(t), emptied(t)
	m.SQL(accounts)
	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "xtrabackup"))
	s.Target("first", "xtrabackup", string(endpoint(t, m, nil)))
	s.Target("second", "xtrabackup", string(endpoint(t, other, nil)))
	s.Target("wrong", "xtrabackup", string(endpoint(t, m, map[string]any{"mysql_password": "not-it"})))
	s.Target("short", "xtrabackup", string(endpoint(t, m, map[string]any{"mysql_bindir": tools(t, "mariabackup", `real "$@" | head -c 1000000`)})))
	store := filepath.Join(s.Dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Store("disk", "fs", fmt.Sprintf(`{"base_dir":%q}`, store))
	for _, name := range []string{"first", "wrong", "short"} {
		s.Job(name, name, "disk")
	}
	stop := load(t, m)
	a := s.Backup("first")
	stop()
	for name, text := range map[string]string{"wrong": "1045", "short": "mariabackup"} {
		out, stderr, status := s.Try("run", "job", name, "--wait")
		if status == 0 || !strings.Contains(stderr, "target "+name) || !strings.Contains(stderr, text) {
			t.Errorf("%s: status %d: %s%s", name, status, out, stderr)
		}
		if strings.Contains(out+stderr+s.Log(), "not-it") || strings.Contains(out+stderr+s.Log(), m.Password) {
			t.Error("a password is shown")
		}
	}
	if _, stderr, status := s.Try("restore", "archive", a.UUID, "--confirm", "first", "--wait"); status == 0 || !strings.Contains(stderr, "a server runs") {
		t.Errorf("restore under a server that runs: status %d: %s", status, stderr)
	}
	m.Stop()
	if err := os.RemoveAll(m.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	testserver.As(t, exec.Command("true"), "mysql", m.Data)
	s.Restore(a.UUID, "")
	s.Restore(a.UUID, "second")
	m.Run()
	other.Run()
	if one, two := consistent(t, m), consistent(t, other); one != two {
		t.Errorf("%s transfers in one, %s in the other", one, two)
	}
	if n := len(s.Archives()); n != 1 {
		t.Errorf("%d archives, want 1", n)
	}
}

// The script that operators can read works.
func TestExample(t *testing.T) {
	testserver.Tool(t, "mariabackup")
	cmd := exec.Command("../../../examples/targets/xtrabackup.sh", shieldtest.Module(t, "xtrabackup"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+os.Getenv("PATH")+":/usr/sbin", fmt.Sprintf("MYSQL_PORT=%d", testserver.Port(t)))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every row is back") {
		t.Errorf("%v: %s", err, out)
	}
}
