package wasmhost

import (
	"runtime"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// quiet is a command whose info is nothing, and so no plugin; it can be opened.
var quiet = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x0a\x01\x06_start\x00\x00\x0a\x04\x01\x02\x00\x0b")

// A compiled module is kept as long as a plugin holds it, and no longer.
func TestProgramIsFreed(t *testing.T) {
	h, err := New(t.Context(), &Options{CacheDir: t.TempDir() + "/cache"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	open := func() *Plugin {
		t.Helper()
		o, err := h.Open(t.Context(), quiet, plugin.Grant{})
		if err != nil {
			t.Fatal(err)
		}
		return o.(*Plugin)
	}
	kept := func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, p := range h.programs {
			return p.Value() != nil
		}
		return false
	}
	a, b := open(), open()
	runtime.GC()
	if a.program != b.program || !kept() {
		t.Error("two plugins of one module do not share it")
	}
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	a, b = nil, nil
	for from := time.Now(); kept(); runtime.GC() {
		if time.Since(from) > time.Minute {
			t.Fatal("a module that nobody holds is kept")
		}
	}
	if _, err := open().Info(t.Context()); shield.CodeOf(err) != shield.PluginFailed {
		t.Errorf("opened again: %v", err)
	}
}
