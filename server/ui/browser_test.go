//go:build linux

package ui_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/scaleseed"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/treecmp"
)

var (
	shots = flag.String("shots", "", "folder for screenshots of every page; make ui-shots sets it")
	only  = flag.String("only", "", "regular expression for the names of pages, if not all are wanted")
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// installed has npm install what package-lock.json names, once, if that has not
// been done since it last changed.
var installed = sync.OnceValues(func() (string, error) {
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		return "", err
	}
	if have, err := os.Stat("node_modules/.package-lock.json"); err == nil && !have.ModTime().Before(lock.ModTime()) {
		return "", nil
	}
	out, err := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts").CombinedOutput()
	return string(out), err
})

func install(t *testing.T) {
	t.Helper()
	if out, err := installed(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

// A visit is a daemon with something to back up, and what browsers need to
// know of it.
type visit struct {
	*shieldtest.System
	t       *testing.T
	flags   []string
	plugins string // the folder of executable plugins
}

// again starts the daemon once more, on the same data.
func (v *visit) again() { v.Restart(v.flags...) }

func start(t *testing.T, flags ...string) *visit {
	t.Helper()
	install(t)
	plugins := t.TempDir()
	for name, from := range map[string]string{"slow": "testdata/slow", "plugin-sh": "../../examples/plugin-sh/plugin.sh"} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(plugins, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	flags = append([]string{"--plugin-dir", plugins}, flags...)
	v := &visit{shieldtest.Start(t, flags...), t, flags, plugins}
	for name, text := range map[string]string{"data/index.html": "<h1>shop</h1>", "data/orders/1.txt": "one", "data/orders/2.txt": "two"} {
		path := filepath.Join(v.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(v.Dir, "store"), 0o755); err != nil {
		t.Fatal(err)
	}
	return v
}

// node runs a script of the folder test against the daemon at an address.
func (v *visit) node(api string, args ...string) {
	v.t.Helper()
	token, err := os.ReadFile(filepath.Join(v.Data(), "admin-token"))
	if err != nil {
		v.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "./node", args...)
	cmd.Env = append(os.Environ(), "SHIELD_API="+api, "SHIELD_DAEMON="+v.URL(), "SHIELD_TOKEN="+string(token[:max(0, len(token)-1)]), "SHIELD_TEST_DIR="+v.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		v.t.Errorf("%q: %v\n%s\nthe daemon says: %s", args, err, out, v.Log())
	}
	v.t.Logf("%s", out)
}

func (v *visit) story(t *testing.T, name string) {
	t.Helper()
	v.storyAt(t, v.URL(), name)
}

// storyAt tells a story to a browser that finds the daemon at an address.
func (v *visit) storyAt(t *testing.T, api, name string) {
	t.Helper()
	(&visit{System: v.System, t: t}).node(api, "test/stories.mjs", name)
}

// TestStories lets a browser do what people do, on one daemon.
func TestStories(t *testing.T) {
	v := start(t, "--agent-listen", "127.0.0.1:0")
	data := filepath.Join(v.Dir, "data")
	t.Run("from the first visit to the first backup", func(t *testing.T) { v.story(t, "firstBackup") })
	want := filepath.Join(t.TempDir(), "want")
	if out, err := exec.Command("cp", "-a", data, want).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	same := func(t *testing.T, dir string) {
		if differ, err := treecmp.Compare(want, dir); err != nil || len(differ) > 0 {
			t.Errorf("restored differently: %q, %v", differ, err)
		}
	}
	t.Run("a restore of a time brings back the bytes", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(data, "orders", "1.txt"), []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(data, "index.html")); err != nil {
			t.Fatal(err)
		}
		v.story(t, "restoreByClicking")
		same(t, data)
	})
	t.Run("a restore of an archive goes elsewhere", func(t *testing.T) {
		beside := filepath.Join(v.Dir, "copy")
		v.Run("create", "target", "--name", "copy", "--plugin", "fs", "--endpoint", `{"base_dir": "`+beside+`"}`, "--scratch")
		v.story(t, "restoreArchive")
		same(t, beside)
	})
	t.Run("a download has the bytes", func(t *testing.T) { v.download(t, same) })
	v.Target("slow", "slow", `{}`)
	v.Job("slow", "slow", "nas")
	t.Run("the log of a task is live", func(t *testing.T) { v.storyAt(t, newUnsteady(t, v.URL()).URL, "liveLog") })
	t.Run("events come by themselves", func(t *testing.T) { v.storyAt(t, newUnsteady(t, v.URL()).URL, "events") })
	t.Run("a secret is not shown", func(t *testing.T) { v.story(t, "secrets") })
	t.Run("the keyboard is enough", func(t *testing.T) { v.story(t, "keyboard") })
	t.Run("every address can be opened", func(t *testing.T) { v.story(t, "links") })
	t.Run("a store has limits", func(t *testing.T) { v.story(t, "limits") })
	t.Run("a plugin is installed, replaced and bounded", func(t *testing.T) {
		v.modules(t)
		v.story(t, "plugin")
	})
	t.Run("under a prefix", func(t *testing.T) {
		proxy := httptest.NewServer(http.StripPrefix("/deep/er", through(t, v.URL())))
		defer proxy.Close()
		v.storyAt(t, proxy.URL, "mounted")
	})
	t.Run("a token for an agent is shown once", func(t *testing.T) { v.story(t, "invite") })
	token, err := os.ReadFile(filepath.Join(v.Dir, "join"))
	if err != nil {
		t.Fatal(err)
	}
	v.agent(t, string(token))
	v.Run("create", "target", "--name", "cache", "--plugin", "slow", "--endpoint", "{}", "--agent", "db1")
	v.Job("cache-nightly", "cache", "nas")
	t.Run("an agent joins and runs a task", func(t *testing.T) { v.story(t, "agent") })
	t.Run("people are offered what their role allows", func(t *testing.T) { v.story(t, "people") })
	t.Run("everybody can use every page", func(t *testing.T) { v.story(t, "accessible") })
	t.Run("what was added is taken away", func(t *testing.T) { v.story(t, "takeAway") })
}

func TestManyJobsAndArchives(t *testing.T) {
	v := start(t)
	v.Kill()
	size := scaleseed.Size{Jobs: 1000, Archives: 100_000, Schedules: 10, Policies: 3}
	if err := scaleseed.Fill(t.Context(), filepath.Join(v.Data(), "catalog.db"), size, time.Now()); err != nil {
		t.Fatal(err)
	}
	v.again()
	v.story(t, "many")
}

func TestModeIsTold(t *testing.T) {
	v := start(t, "--mode", "DEV")
	v.story(t, "mode")
}
