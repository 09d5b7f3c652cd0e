//go:build linux

package rclone_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/rclone/rclone"
)

func TestConformance(t *testing.T) {
	testserver.Tool(t, "rclone")
	executable, err := exec.Open(shieldtest.Executable(t, "rclone"), nil)
	must(t, err)
	for name, c := range map[string]struct {
		opener plugin.Opener
		fields
	}{
		"native, local":     {rclone.Plugin(), local(t.TempDir())},
		"executable, crypt": {executable, crypt(t, t.TempDir())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugintest.Run(t, c.opener, plugintest.Config{StoreEndpoint: endpoint(t, c.fields, fields{"checksum": "always"}), Timeout: 5 * time.Minute})
		})
	}
}

// TestStory is an operator's: with the daemon and the command line.
func TestStory(t *testing.T) {
	testserver.Tool(t, "rclone")
	s := shieldtest.Start(t)
	from, to := filepath.Join(s.Dir, "from"), filepath.Join(s.Dir, "to")
	must(t, os.MkdirAll(from, 0o755),
		os.WriteFile(filepath.Join(from, "large"), plugintest.Bytes(5<<20, 1), 0o600),
		os.WriteFile(filepath.Join(from, "small"), []byte("small"), 0o600))
	place := t.TempDir()
	e := endpoint(t, crypt(t, place))
	quoted := func(dir string) string {
		b, err := json.Marshal(fields{"base_dir": dir})
		must(t, err)
		return string(b)
	}
	s.Target("t", "fs", quoted(from))
	s.Target("u", "fs", quoted(to))
	s.Store("s", "rclone", string(e))
	s.Job("j", "t", "s")
	s.Run("store", "test", "s", "--wait")
	a := s.Backup("j")
	s.Restore(a.UUID, "u")
	if differences, err := treecmp.Compare(from, to); err != nil || len(differences) > 0 {
		t.Errorf("the trees differ: %q, %v", differences, err)
	}
	if out := s.Run("store", "check", "s"); !strings.Contains(out, "store: odd keys") {
		t.Errorf("no table: %s", out)
	}
	s.Run("delete", "archive", a.UUID, "--wait")
	wantFiles(t, place, 0)
	if text := s.Run("show", "store", "s") + s.Log(); strings.Contains(text, "type = crypt") {
		t.Error("the configuration is shown")
	}
}
