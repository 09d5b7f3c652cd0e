//go:build linux

package shieldtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

func TestSystem(t *testing.T) {
	s := shieldtest.Start(t)
	mkdir := func(dir string) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	from, to := filepath.Join(s.Dir, "from"), filepath.Join(s.Dir, "to")
	mkdir(from)
	mkdir(filepath.Join(s.Dir, "store"))
	if err := os.WriteFile(filepath.Join(from, "f"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Target("t", "fs", `{"base_dir":"`+from+`"}`)
	s.Target("u", "fs", `{"base_dir":"`+to+`"}`)
	s.Store("s", "fs", `{"base_dir":"`+filepath.Join(s.Dir, "store")+`"}`)
	s.Job("j", "t", "s")
	a := s.Backup("j")
	s.Restore(a.UUID, "u")
	if got, err := os.ReadFile(filepath.Join(to, "f")); err != nil || string(got) != "content" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, _, status := s.Try("show", "archive", "nope"); status != 3 {
		t.Errorf("exit status %d, want 3", status)
	}
}
