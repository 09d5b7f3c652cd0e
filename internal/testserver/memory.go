//go:build linux

package testserver

import (
	"os"
	"testing"
)

// MemoryDir is Dir in memory where the system has such a place, for servers
// that wait for their disk more than for anything else.
func MemoryDir(t testing.TB) string {
	t.Helper()
	const memory = "/dev/shm"
	dir, err := os.MkdirTemp(memory, "s")
	if err != nil {
		return Dir(t)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
