package wasmhost_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// TestBodyInMemory sends bodies that lie in the guest's memory.
func TestBodyInMemory(t *testing.T) {
	var got atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil || int64(len(b)) != r.ContentLength {
			t.Errorf("the server got %d bytes of %d: %v", len(b), r.ContentLength, err)
		}
		got.Store(string(b))
	}))
	defer s.Close()
	o := open(t, newHost(t, nil), "probe", nil)
	restore := func(path, body string) error {
		tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "put", "use": "memory", "url": s.URL + path}), nil)
		if err != nil {
			t.Fatal(err)
		}
		return tg.Restore(t.Context(), strings.NewReader(body))
	}
	for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 10<<20 + 7} {
		got.Store("")
		body := strings.Repeat("0123456789abcde", size/15+1)[:size]
		if err := restore("/", body); err != nil || got.Load() != body {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := restore("/early", strings.Repeat("x", 10<<20)); err == nil || !strings.Contains(err.Error(), "413") {
		t.Errorf("an early answer: %v", err)
	}
}

// TestHostileBodies: a guest ends, or is ended, while the host has memory of
// it that it is sending.
func TestHostileBodies(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-release
		// What fits into the buffers of a connection may arrive all the same.
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 10<<20 {
			t.Error("the server got a whole body")
		}
	}))
	defer s.Close()
	defer close(release)
	h := newHost(t, nil)
	out, err := backup(t, t.Context(), open(t, h, "hostile.c", nil), map[string]any{"do": "bodies", "url": s.URL})
	if err != nil || out != "sending\n" {
		t.Errorf("%q, %v", out, err)
	}
	tg, err := open(t, h, "probe", nil).OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "put", "use": "memory", "url": s.URL}), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := tg.Restore(ctx, strings.NewReader(strings.Repeat("x", 30<<20))); !errors.Is(err, shield.TimedOut) {
		t.Errorf("error is %v", err)
	}
}
