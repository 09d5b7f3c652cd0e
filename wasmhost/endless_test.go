package wasmhost_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
	"github.com/shieldhq/shield/wasmhost/internal/interrupt"
)

// command returns a module whose function 0 is _start and has the given code.
// Function 1 takes and returns an i32; there are a memory and a table with
// both. more are sections by their numbers.
func command(start, second []byte, more map[byte][]byte) []byte {
	function := func(code []byte) []byte { return sized(append([]byte{0}, append(code, 0x0b)...)) }
	sections := map[byte][]byte{
		1:  {2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f},
		3:  {2, 0, 1},
		4:  {1, 0x70, 0, 2},
		5:  {1, 0, 1},
		7:  append(append([]byte{1}, sized([]byte("_start"))...), 0, 0),
		9:  {1, 0, 0x41, 0, 0x0b, 2, 0, 1},
		10: slices.Concat([]byte{2}, function(start), function(second)),
	}
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []byte{1, 3, 4, 5, 6, 7, 8, 9, 10} {
		if more[id] != nil {
			sections[id] = more[id]
		}
		if sections[id] != nil {
			module = append(append(module, id), sized(sections[id])...)
		}
	}
	return module
}

// sized puts a length of five bytes before what it is about.
func sized(b []byte) []byte {
	n := len(b)
	return append([]byte{byte(n) | 0x80, byte(n>>7) | 0x80, byte(n>>14) | 0x80, 0x80, 0}, b...)
}

// spin is a loop of nothing, and half a function that calls itself twice.
var (
	spin    = []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	recurse = []byte{0x41, 60, 0x10, 1, 0x1a}
	twice   = []byte{
		0x20, 0, 0x45, 0x04, 0x7f, 0x20, 0, 0x05,
		0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x6a, 0x0b,
	}
	identity = []byte{0x20, 0}
)

// spinners do not end, each in its own way.
func spinners() map[string][]byte {
	indirect := bytes.ReplaceAll(twice, []byte{0x10, 1}, []byte{0x41, 1, 0x11, 1, 0})
	// One local more than these cannot be had, and the checks want one.
	locals := append([]byte{1, 0xd0, 0x86, 0x03, 0x7e, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0}, append(spin, 0x0b)...)
	return map[string][]byte{
		"loop":               command(spin, identity, nil),
		"outer loop":         command([]byte{0x03, 0x40, 0x03, 0x40, 0x41, 1, 0x0d, 1, 0x0b, 0x0b}, identity, nil),
		"recursion":          command(recurse, twice, nil),
		"indirect recursion": command(recurse, indirect, nil),
		"start section":      command(nil, identity, map[byte][]byte{8: {0}, 10: slices.Concat([]byte{2}, sized(append([]byte{0}, append(spin, 0x0b)...)), []byte{4, 0, 0x20, 0, 0x0b})}),
		"not instrumented":   command(nil, identity, map[byte][]byte{10: slices.Concat([]byte{2}, sized(locals), []byte{4, 0, 0x20, 0, 0x0b})}),
	}
}

// Whatever does not end is ended, and the error says by what.
func TestHostileSpinners(t *testing.T) {
	for name, module := range spinners() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, &wasmhost.Options{InfoTimeout: 300 * time.Millisecond})
			o, err := h.Open(t.Context(), module, plugin.Grant{})
			if err != nil {
				t.Fatal(err)
			}
			from := time.Now()
			_, err = o.Info(t.Context())
			wantError(t, err, shield.TimedOut, "no answer within 300ms")
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			_, err = o.Info(ctx)
			wantError(t, err, shield.Canceled, "")
			if took := time.Since(from); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// While a guest spins the garbage collector can do its work, and more guests
// than there are processors leave room for others. A guest that cannot be
// preempted would stop it for ever, so that the bound may be as long as a
// busy machine needs.
func TestHostileSpinnersLetCollect(t *testing.T) {
	h := newHost(t, &wasmhost.Options{InfoTimeout: 10 * time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	all := spinners()
	errs := make(chan error, len(all))
	for _, module := range all {
		o, err := h.Open(t.Context(), module, plugin.Grant{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := o.Info(ctx)
			errs <- err
		}()
	}
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for range 2 {
			time.Sleep(20 * time.Millisecond) // the guests run meanwhile
			runtime.GC()
		}
	}()
	select {
	case <-collected:
	case <-time.After(5 * time.Minute):
		t.Error("the garbage collector still waits")
	}
	cancel()
	for range all {
		wantError(t, <-errs, shield.Canceled, "")
	}
}

// A guest that names the counter has named something that it does not have.
func TestHostileCounter(t *testing.T) {
	h := newHost(t, nil)
	export := slices.Concat([]byte{2}, sized([]byte("_start")), []byte{0, 0}, sized([]byte("counter")), []byte{3, 0})
	for name, module := range map[string][]byte{
		"set":    command([]byte{0x03, 0x40, 0x41, 0xff, 0, 0x24, 0, 0x0c, 0, 0x0b}, identity, nil),
		"export": command(spin, identity, map[byte][]byte{7: export}),
		"refill": command([]byte{0x10, 2}, identity, nil),
		"import": importing(interrupt.Module, interrupt.Name),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Open(t.Context(), module, plugin.Grant{})
			wantError(t, err, shield.PluginFailed, "")
		})
	}
}

// TestInstrumented says that modules of all compilers have the cheap checks,
// and that they do the same as without any.
func TestInstrumented(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "content"), bytes.Repeat([]byte("row\n"), 1<<18))
	for name, e := range map[string]map[string]any{
		"files":                           {"do": "read", "dir": dir, "use": "content"},
		"hostile.c":                       {"do": "lie"},
		"../examples/target-c/target.c":   {"file": filepath.Join(dir, "content")},
		"../examples/store-rust/store.rs": nil,
		"../examples/extism/extism.c":     {"folder": dir},
		"../examples/target-go":           nil,
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			var log strings.Builder
			h := newHost(t, &wasmhost.Options{
				Program: isolator(t),
				Log:     slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			counting := open(t, h, name, nil)
			if strings.Contains(log.String(), "cannot be instrumented") {
				t.Fatal(log.String())
			}
			grant := grantAll(t, h, guest(t, name))
			grant.Isolation = plugin.IsolationProcess
			free := open(t, h, name, &grant)
			want, err := free.Info(t.Context())
			got, err2 := counting.Info(t.Context())
			if err != nil || err2 != nil || got.Name != want.Name || len(got.Fields) != len(want.Fields) {
				t.Fatalf("info %+v, %v, want %+v, %v", got, err, want, err2)
			}
			if e == nil {
				return
			}
			a, err := backup(t, t.Context(), free, e)
			b, err2 := backup(t, t.Context(), counting, e)
			if a != b || err != nil || err2 != nil {
				t.Errorf("%d bytes, %v; %d bytes, %v", len(a), err, len(b), err2)
			}
		})
	}
}
