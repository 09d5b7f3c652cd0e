package wasmhost_test

import (
	"os"
	"runtime"
	"testing"
)

// count returns the numbers of goroutines and of open descriptors.
func count(t *testing.T) (goroutines, files int) {
	t.Helper()
	entries, _ := os.ReadDir("/proc/self/fd") // none but on Linux
	return runtime.NumGoroutine(), len(entries)
}
