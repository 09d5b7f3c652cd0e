package wasmhost_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// TestSoak runs a thousand instances and wants nothing of them to stay.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a thousand calls")
	}
	o := open(t, newHost(t, nil), "hostile.c", nil)
	calls := func(n int) {
		for range n {
			if out, err := backup(t, t.Context(), o, map[string]any{"do": "lie"}); err != nil {
				t.Fatal(out, err)
			}
		}
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what the first one finalized
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	calls(100)
	goroutines, files := count(t)
	before := heap()
	calls(1000)
	// What stays of one call would be there a thousand times.
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if g, f := count(t); g > goroutines+5 || f > files+5 {
		t.Errorf("there are %d goroutines and %d open files, and were %d and %d", g, f, goroutines, files)
	}
}

// A call goes on when nobody holds its plugin any more.
func TestCallOutlivesPlugin(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	func() {
		h := newHost(t, nil)
		o, err := h.Open(ctx, spinners()["loop"], plugin.Grant{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := o.Info(ctx)
			done <- err
		}()
	}()
	for range 20 {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	wantError(t, <-done, shield.Canceled, "")
}
