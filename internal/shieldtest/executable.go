//go:build linux

package shieldtest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

var executables sync.Map // name → func() (string, error)

// Executable builds plugins-wasm/NAME as an executable plugin, once for the
// test binary, and returns its path. Its folder has nothing else, so it can be
// given to shieldd as a --plugin-dir.
func Executable(t testing.TB, name string) string {
	t.Helper()
	f, _ := executables.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		dir, err := folder()
		if err != nil {
			return "", err
		}
		out := filepath.Join(dir, "executable-"+name)
		if err := os.MkdirAll(out, 0o700); err != nil {
			return "", err
		}
		return filepath.Join(out, name), build(out, nil, "", "./plugins-wasm/"+name)
	}))
	path, err := f.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
