package resttest

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

var sandboxes sync.Map // name → func() (plugin.Opener, error)

// Sandboxed returns the module of a plugin, granted what it asks for.
func Sandboxed(t testing.TB, name string) plugin.Opener {
	t.Helper()
	module := shieldtest.Module(t, name)
	program := filepath.Join(shieldtest.Programs(t), "shieldd")
	f, _ := sandboxes.LoadOrStore(name, sync.OnceValues(func() (plugin.Opener, error) { return sandbox(module, program) }))
	o, err := f.(func() (plugin.Opener, error))()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// sandbox has the module compiled by a program without the race detector,
// which would make that take minutes.
func sandbox(module, program string) (plugin.Opener, error) {
	b, err := os.ReadFile(module)
	if err != nil {
		return nil, err
	}
	// Neither ends with the test: others use them, too.
	ctx := context.Background()
	host, err := wasmhost.New(ctx, shieldtest.HostOptions())
	if err != nil {
		return nil, err
	}
	o, err := host.Open(ctx, b, plugin.Grant{})
	if err != nil {
		return nil, err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		return nil, err
	}
	return host.Open(ctx, b, plugin.GrantFor(wanted))
}

// Story backs up a tree into a store and brings it back, checks the store and
// deletes the archive, with the daemon, the command line and the plugin's
// module as an operator has them.
func Story(t *testing.T, name string, endpoint shield.Endpoint) {
	t.Helper()
	s, from, to := start(t, name, endpoint)
	a := s.Backup("j")
	s.Restore(a.UUID, "u")
	differences, err := treecmp.Compare(from, to)
	if err != nil || len(differences) > 0 {
		t.Errorf("the trees differ: %q, %v", differences, err)
	}
	s.Run("store", "check", "s")
	s.Run("delete", "archive", a.UUID, "--wait")
}

// LockedStory backs up into a store that keeps archives: deleting one is no
// failure, and waits.
func LockedStory(t *testing.T, name string, endpoint shield.Endpoint) {
	t.Helper()
	s, _, _ := start(t, name, endpoint)
	a := s.Backup("j")
	out, text, status := s.Try("delete", "archive", a.UUID, "--wait")
	if status != 4 || !strings.Contains(out+text, "until") {
		t.Errorf("exit status %d, want 4: %s%s", status, out, text)
	}
}

// start starts a daemon with the store s, the job j that backs up a tree into
// it, and the target u.
func start(t *testing.T, name string, endpoint shield.Endpoint) (s *shieldtest.System, from, to string) {
	t.Helper()
	s = shieldtest.Start(t)
	s.Install(shieldtest.Module(t, name))
	from, to = filepath.Join(s.Dir, "from"), filepath.Join(s.Dir, "to")
	must(t, os.MkdirAll(filepath.Join(from, "sub"), 0o755))
	noise := make([]byte, 6<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise) // never fails
	must(t, os.WriteFile(filepath.Join(from, "sub", "large"), noise, 0o600))
	must(t, os.WriteFile(filepath.Join(from, "small"), []byte("small"), 0o600))
	quoted := func(dir string) string {
		b, err := json.Marshal(map[string]string{"base_dir": dir})
		must(t, err)
		return string(b)
	}
	s.Target("t", "fs", quoted(from))
	s.Target("u", "fs", quoted(to))
	s.Store("s", name, string(endpoint))
	s.Job("j", "t", "s")
	return s, from, to
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
