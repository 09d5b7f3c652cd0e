//go:build linux

package restic_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/restic/restic"
)

func TestConformance(t *testing.T) {
	executable, err := exec.Open(shieldtest.Executable(t, "restic"), &exec.Options{Env: []string{"XDG_CACHE_HOME=" + os.Getenv("XDG_CACHE_HOME")}})
	must(t, err)
	for name, o := range map[string]plugin.Opener{"native": restic.Plugin(), "executable": executable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := repository(t)
			plugintest.Run(t, o, plugintest.Config{StoreEndpoint: endpoint(t, f), Timeout: 5 * time.Minute})
			if n := snapshots(t, f); n != 0 {
				t.Errorf("%d snapshots are left", n)
			}
			if locks := tool(t, f, "list", "locks", "--no-lock", "--quiet"); strings.TrimSpace(locks) != "" {
				t.Errorf("locks are left: %s", locks)
			}
		})
	}
}

// TestDeduplication: two dumps that differ by an insertion near the front take
// little more than one.
func TestDeduplication(t *testing.T) {
	t.Parallel()
	f := repository(t)
	s := open(t, f)
	const length = 24 << 20
	dump := plugintest.Bytes(length, 1)
	put(t, s, "one", bytes.NewReader(dump), length)
	one := size(t, f["repository"].(string))
	inserted := []byte("INSERT INTO log VALUES ('a line more');\n")
	second := io.MultiReader(bytes.NewReader(dump[:1000]), bytes.NewReader(inserted), bytes.NewReader(dump[1000:]))
	put(t, s, "two", second, length+int64(len(inserted)))
	both := size(t, f["repository"].(string))
	t.Logf("%d bytes for one, %d for both", one, both)
	if both > one+one/4 {
		t.Errorf("both take %d bytes, one took %d", both, one)
	}
	got, err := get(t, s, "two")
	if err != nil || got != string(dump[:1000])+string(inserted)+string(dump[1000:]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestStory is an operator's: with the daemon and the command line. A job in
// the clear stores raw streams, which are what the target gave; one that
// encrypts does not.
func TestStory(t *testing.T) {
	f := repository(t)
	s := shieldtest.Start(t)
	from, to := filepath.Join(s.Dir, "from"), filepath.Join(s.Dir, "to")
	must(t, os.MkdirAll(from, 0o755), os.WriteFile(filepath.Join(from, "large"), plugintest.Bytes(40<<20, 1), 0o600))
	quoted := func(dir string) string {
		b, err := json.Marshal(fields{"base_dir": dir})
		must(t, err)
		return string(b)
	}
	s.Target("t", "fs", quoted(from))
	s.Target("u", "fs", quoted(to))
	s.Store("s", "restic", string(endpoint(t, f)))
	s.Job("sealed", "t", "s")
	s.Run("create", "job", "--name", "raw", "--target", "t", "--store", "s", "--schedule", "seldom", "--retention-policy", "long", "--unencrypted")
	s.Run("store", "test", "s", "--wait")

	first := s.Backup("raw")
	one := size(t, f["repository"].(string))
	must(t, os.WriteFile(filepath.Join(from, "a small one"), []byte("before the large one"), 0o600))
	second := s.Backup("raw")
	// restic cuts at most every 8 MiB, where it sees fit: so much is new at most.
	if both := size(t, f["repository"].(string)); both > one+one/4 {
		t.Errorf("both take %d bytes, one took %d", both, one)
	}
	if out := s.Run("show", "archive", second.UUID); !strings.Contains(out, "raw") {
		t.Errorf("the archive is not called raw: %s", out)
	}
	dump := tool(t, f, "dump", "latest", "--quiet", "--path", "/"+second.Key, "/"+second.Key)
	if int64(len(dump)) != second.Size {
		t.Errorf("the snapshot has %d bytes, the dump had %d", len(dump), second.Size)
	}
	s.Restore(second.UUID, "u")
	if differences, err := treecmp.Compare(from, to); err != nil || len(differences) > 0 {
		t.Errorf("the trees differ: %q, %v", differences, err)
	}
	sealed := s.Backup("sealed")
	if dump := tool(t, f, "dump", "latest", "--quiet", "--path", "/"+sealed.Key, "/"+sealed.Key); !strings.HasPrefix(dump, "age-encryption.org/v1") {
		t.Error("what is to be encrypted is not")
	}
	s.Restore(sealed.UUID, "u")
	s.Run("store", "check", "s")
	for _, a := range []string{first.UUID, second.UUID, sealed.UUID} {
		s.Run("delete", "archive", a, "--wait")
	}
	if n := snapshots(t, f); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
	if _, text, status := s.Try("create", "job", "--name", "bad", "--target", "t", "--store", "s", "--schedule", "seldom", "--retention-policy", "long", "--compression", "raw"); status == 0 || !strings.Contains(text, "cannot be encrypted") {
		t.Errorf("raw and encrypted: %d, %s", status, text)
	}
}
