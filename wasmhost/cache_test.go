package wasmhost_test

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// compiled opens a small module with a fresh host and asks for its info.
func compiled(t *testing.T, dir string) {
	t.Helper()
	h, err := wasmhost.New(t.Context(), &wasmhost.Options{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	o, err := h.Open(t.Context(), guest(t, "hostile.c"), plugin.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func cached(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// Whatever happens to what is kept, the module works, and is kept anew.
func TestCacheDamage(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string){
		"a flipped bit": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			writeFile(t, path, b)
		},
		"cut off": func(t *testing.T, path string) {
			if err := os.Truncate(path, 10); err != nil {
				t.Fatal(err)
			}
		},
		"empty":  func(t *testing.T, path string) { writeFile(t, path, nil) },
		"gone":   func(_ *testing.T, path string) { _ = os.Remove(path) },
		"filler": func(t *testing.T, path string) { writeFile(t, path, []byte(strings.Repeat("\xff", 1<<20))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			compiled(t, dir)
			for n := range cached(t, dir) {
				damage(t, cached(t, dir)[n])
				compiled(t, dir)
				before := cached(t, dir)
				fi, err := os.Stat(before[0])
				if err != nil {
					t.Fatal(err)
				}
				compiled(t, dir)
				now, err := os.Stat(cached(t, dir)[0])
				if err != nil || !now.ModTime().Equal(fi.ModTime()) {
					t.Errorf("a sound module was made anew, %v", err)
				}
			}
		})
	}
}

// What another version has made is not used, and does not pile up.
func TestCacheVersion(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "wazero-v0.9.9-linux-amd64")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	compiled(t, dir)
	if _, err := os.Stat(old); err == nil {
		t.Error("the old version is still there")
	}
}

// A folder that others can write to is refused: it holds native code.
func TestCacheMode(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := wasmhost.New(t.Context(), &wasmhost.Options{CacheDir: dir})
	wantError(t, err, shield.Forbidden, "0700")
}

// A module that another process has compiled is as good, and one that it has
// not is compiled here.
func TestCompileApart(t *testing.T) {
	for name, program := range map[string]string{"done": os.Args[0], "failed": "/bin/false", "missing": "/no/such/program"} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			h := newHost(t, &wasmhost.Options{
				CacheDir: filepath.Join(t.TempDir(), "cache"), Program: program, CompileApart: true,
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			o, err := h.Open(t.Context(), guest(t, "hostile.c"), plugin.Grant{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Info(t.Context()); err != nil {
				t.Error(err)
			}
			if here := strings.Contains(log.String(), "not compiled in another process"); here != (name != "done") {
				t.Errorf("the log is %s", log.String())
			}
		})
	}
}
