package resttest

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/treecmp"
)

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
