//go:build linux

package mongo

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

// TestStory: daemon and command line; back up, destroy, restore, compare,
// restore into a second server.
func TestStory(t *testing.T) {
	m, other := testserver.StartMongo(t), testserver.StartMongo(t)
	c := connected(t, m)
	fill(t, c)
	s := shieldtest.Start(t)
	s.Install(shieldtest.Module(t, "mongo"))
	s.Target("first", "mongo", string(endpointOf(t, m, nil)))
	s.Target("second", "mongo", string(endpointOf(t, other, nil)))
	s.Target("wrong", "mongo", string(endpointOf(t, m, map[string]any{"mongo_password": "not-it"})))
	s.Target("short", "mongo", string(endpointOf(t, m, map[string]any{"mongo_bindir": tools(t, m, "mongodump", `real "$@" >dump; head -c 10000 dump`)})))
	store := filepath.Join(s.Dir, "store")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	s.Store("disk", "fs", fmt.Sprintf(`{"base_dir":%q}`, store))
	for _, name := range []string{"first", "wrong", "short"} {
		s.Job(name, name, "disk")
	}
	want := content(t, backedUp(t, endpointOf(t, m, nil)))
	a := s.Backup("first")
	c.must(t, "shop", field{"dropDatabase", int32(1)})
	c.must(t, "blog-2", field{"dropDatabase", int32(1)})
	s.Restore(a.UUID, "")
	s.Restore(a.UUID, "second")
	for _, to := range []*testserver.Mongo{m, other} {
		if got := content(t, backedUp(t, endpointOf(t, to, nil))); !reflect.DeepEqual(got, want) {
			t.Errorf("%d collections, want %d, or they differ", len(got), len(want))
		}
	}
	for name, text := range map[string]string{"wrong": "Authentication failed", "short": "no whole archive"} {
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

// The script that operators can read works.
func TestExample(t *testing.T) {
	bin := filepath.Dir(testserver.Built(t, "ferretdb"))
	cmd := exec.Command("../../../examples/targets/mongo.sh", shieldtest.Module(t, "mongo"))
	cmd.Env = append(os.Environ(), "PATH="+shieldtest.Programs(t)+":"+bin+":"+os.Getenv("PATH"), fmt.Sprintf("MONGO_PORT=%d", testserver.Port(t)))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Every document is back") {
		t.Errorf("%v: %s", err, out)
	}
}
