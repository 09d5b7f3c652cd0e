//go:build linux

package ui_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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
	t     *testing.T
	flags []string
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
	v := &visit{shieldtest.Start(t, flags...), t, flags}
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
	cmd.Env = append(os.Environ(), "SHIELD_API="+api, "SHIELD_TOKEN="+string(token[:max(0, len(token)-1)]), "SHIELD_TEST_DIR="+v.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		v.t.Errorf("%q: %v\n%s\nthe daemon says: %s", args, err, out, v.Log())
	}
	v.t.Logf("%s", out)
}

func (v *visit) story(t *testing.T, name string) {
	t.Helper()
	(&visit{v.System, t, nil}).node(v.URL(), "test/stories.mjs", name)
}

// TestStories lets a browser do what people do, on one daemon.
func TestStories(t *testing.T) {
	v := start(t)
	data := filepath.Join(v.Dir, "data")
	t.Run("from the first visit to the first backup", func(t *testing.T) { v.story(t, "firstBackup") })
	t.Run("a restore brings back the bytes", func(t *testing.T) {
		want := filepath.Join(t.TempDir(), "want")
		if out, err := exec.Command("cp", "-a", data, want).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.WriteFile(filepath.Join(data, "orders", "1.txt"), []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(data, "index.html")); err != nil {
			t.Fatal(err)
		}
		v.story(t, "restoreByClicking")
		if differ, err := treecmp.Compare(want, data); err != nil || len(differ) > 0 {
			t.Errorf("restored differently: %q, %v", differ, err)
		}
	})
	v.Target("slow", "slow", `{}`)
	v.Job("slow", "slow", "nas")
	t.Run("the log of a task is live", func(t *testing.T) { v.story(t, "liveLog") })
	t.Run("a secret is not shown", func(t *testing.T) { v.story(t, "secrets") })
	t.Run("the keyboard is enough", func(t *testing.T) { v.story(t, "keyboard") })
	t.Run("every address can be opened", func(t *testing.T) { v.story(t, "links") })
	t.Run("a plugin is installed", func(t *testing.T) {
		build := exec.Command("clang", "--target=wasm32-wasi", "-O2", "-o", filepath.Join(v.Dir, "target.wasm"), "../../examples/target-c/target.c")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		v.story(t, "plugin")
	})
	t.Run("under a prefix", func(t *testing.T) {
		target, err := url.Parse(v.URL())
		if err != nil {
			t.Fatal(err)
		}
		proxy := httptest.NewServer(http.StripPrefix("/deep/er", httputil.NewSingleHostReverseProxy(target)))
		defer proxy.Close()
		(&visit{v.System, t, nil}).node(proxy.URL, "test/stories.mjs", "mounted")
	})
	t.Run("people are offered what their role allows", func(t *testing.T) { v.story(t, "people") })
	t.Run("everybody can use every page", func(t *testing.T) { v.story(t, "accessible") })
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
