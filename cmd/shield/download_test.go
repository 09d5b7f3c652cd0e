package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSettle: a download gets its name on file systems with and without links,
// and in no case that of another file.
func TestSettle(t *testing.T) {
	t.Parallel()
	none := func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM} }
	for name, link := range map[string]func(from, to string) error{"with links": os.Link, "without": none} {
		dir := t.TempDir()
		from, to := filepath.Join(dir, ".part"), filepath.Join(dir, "whole")
		for _, taken := range []bool{false, true} {
			if err := os.WriteFile(from, []byte("new"), 0o600); err != nil {
				t.Fatal(err)
			}
			if taken {
				if err := os.WriteFile(to, []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := settle(from, to, link)
			text, readErr := os.ReadFile(to)
			if want := map[bool]string{false: "new", true: "old"}[taken]; (err == nil) == taken || readErr != nil || string(text) != want {
				t.Errorf("%s, taken %v: %v; the file has %q, %v", name, taken, err, text, readErr)
			}
		}
	}
}
