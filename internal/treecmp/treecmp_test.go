package treecmp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield/internal/treecmp"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(t *testing.T, dir string) error
		want   string // in the only difference; empty: none
	}{
		{"equal", func(*testing.T, string) error { return nil }, ""},
		{"bytes", func(t *testing.T, dir string) error {
			return keepingTime(t, filepath.Join(dir, "file"), []byte("Hello"))
		}, `"file": bytes differ from 0 on`},
		{"size", func(t *testing.T, dir string) error {
			return keepingTime(t, filepath.Join(dir, "file"), []byte("hello!"))
		}, `"file": size is 5 and 6`},
		{"mode", func(_ *testing.T, dir string) error {
			return os.Chmod(filepath.Join(dir, "file"), 0o640)
		}, `"file": mode is -rw------- and -rw-r-----`},
		{"time", func(_ *testing.T, dir string) error {
			return os.Chtimes(filepath.Join(dir, "sub"), time.Time{}, time.Unix(1, 5))
		}, `"sub": time is 1970-01-12 13:46:40.000000001 and 1970-01-01 00:00:01.000000005`},
		{"target", func(_ *testing.T, dir string) error {
			_ = os.Remove(filepath.Join(dir, "sub", "symlink"))
			return os.Symlink("elsewhere", filepath.Join(dir, "sub", "symlink"))
		}, `target is "nowhere" and "elsewhere"`},
		{"missing", func(_ *testing.T, dir string) error {
			return os.Remove(filepath.Join(dir, "sub", "second"))
		}, `"sub/second": is in the first tree only`},
		{"added", func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "sub", "more"), nil, 0o600)
		}, `"sub/more": is in the second tree only`},
		{"hard links", func(t *testing.T, dir string) error {
			_ = os.Remove(filepath.Join(dir, "sub", "second"))
			return keepingTime(t, filepath.Join(dir, "sub", "second"), []byte("hello"))
		}, `"sub/second": is the same file as "file" and "sub/second"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := makeTree(t), makeTree(t)
			if err := tt.change(t, b); err != nil {
				t.Fatal(err)
			}
			if tt.name != "time" {
				settle(t, b)
			}
			got, err := treecmp.Compare(a, b)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(got, "\n"); tt.want == "" && text != "" || !strings.Contains(text, tt.want) {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

func TestCompareMissing(t *testing.T) {
	t.Parallel()
	if _, err := treecmp.Compare(t.TempDir(), filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("a missing tree is equal to an empty one")
	}
}

func makeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	steps := []error{
		os.WriteFile(filepath.Join(dir, "file"), []byte("hello"), 0o600),
		os.Mkdir(filepath.Join(dir, "sub"), 0o700),
		os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "sub", "second")),
		os.Symlink("nowhere", filepath.Join(dir, "sub", "symlink")),
	}
	for _, err := range steps {
		if err != nil {
			t.Fatal(err)
		}
	}
	settle(t, dir)
	return dir
}

// settle gives everything one time.
func settle(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Lutimes(filepath.Join(dir, "sub", "symlink"), []unix.Timeval{{Sec: 1e6}, {Sec: 1e6}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "sub", "."} {
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1e6, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func keepingTime(t *testing.T, name string, content []byte) error {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return err
	}
	return os.Chtimes(name, time.Time{}, time.Unix(1e6, 1))
}
