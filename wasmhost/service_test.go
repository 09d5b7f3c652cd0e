package wasmhost_test

import (
	"context"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync/atomic"
	"testing"

	"github.com/shieldhq/shield"
)

func TestHash(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	zeros := make([]byte, 4<<20)
	crc := binary.BigEndian.AppendUint32(nil, crc32.Checksum(zeros, crc32.MakeTable(crc32.Castagnoli)))
	for name, want := range map[string]string{
		"crc32c": fmt.Sprintf("%x", crc), "md5": fmt.Sprintf("%x", md5.Sum(zeros)),
		"sha1": fmt.Sprintf("%x", sha1.Sum(zeros)), "sha256": fmt.Sprintf("%x", sha256.Sum256(zeros)),
	} {
		got, err := backup(t, t.Context(), o, map[string]any{"do": "hash", "use": name})
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, want)
		}
	}
	_, err := backup(t, t.Context(), o, map[string]any{"do": "hash", "use": "rot13"})
	wantError(t, err, shield.Invalid, "rot13")
}

func TestDeriveKey(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	for name, h := range map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New} {
		want, err := pbkdf2.Key(h, "pencil", []byte("salt"), 4096, h().Size())
		if err != nil {
			t.Fatal(err)
		}
		got, err := backup(t, t.Context(), o, map[string]any{"do": "key", "use": name})
		if err != nil || got != fmt.Sprintf("%x", want) {
			t.Errorf("%s: got %s, %v; want %x", name, got, err, want)
		}
	}
	_, err := backup(t, t.Context(), o, map[string]any{"do": "key", "use": "rot13"})
	wantError(t, err, shield.Invalid, "rot13")
}

// TestUndo: the request is made if the guest is stopped or fails, not if it
// has ended what it began.
func TestUndo(t *testing.T) {
	var undone atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			undone.Add(1)
		}
	}))
	defer s.Close()
	o := open(t, newHost(t, nil), "probe", nil)
	if _, err := backup(t, t.Context(), o, map[string]any{"do": "undo", "url": s.URL + "/x"}); err != nil {
		t.Fatal(err)
	}
	if n := undone.Load(); n != 0 {
		t.Errorf("%d requests after success", n)
	}
	if _, err := backup(t, t.Context(), o, map[string]any{"do": "undo", "url": s.URL + "/x", "use": "fail"}); err == nil {
		t.Error("no error")
	}
	if n := undone.Load(); n != 1 {
		t.Errorf("%d requests after a failure, want 1", n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	tg, err := o.OpenTarget(ctx, endpoint(t, map[string]any{"do": "undo", "url": s.URL + "/x", "use": "wait"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Backup(ctx, writerFunc(func(p []byte) (int, error) {
		cancel(stopped)
		return len(p), nil
	})); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
	if n := undone.Load(); n != 2 {
		t.Errorf("%d requests after a stop, want 2", n)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestHTTPIdle(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		<-release
	}))
	defer s.Close()
	defer close(release)
	o := open(t, newHost(t, nil), "probe", nil)
	for _, path := range []string{"/never", "/half"} {
		_, err := backup(t, t.Context(), o, map[string]any{"do": "get", "url": s.URL + path, "args": "200ms"})
		if err == nil {
			t.Errorf("%s: no error", path)
			continue
		}
		wantError(t, err, shield.CodeOf(err), "no byte moved for 200ms")
	}
}

// TestHTTPProxy: a proxy is used if its address was granted, TLS goes through
// it, and certificates are checked by the given CA.
func TestHTTPProxy(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "far") }))
	defer far.Close()
	var asked atomic.Int32
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { asked.Add(1) },
	})
	defer proxy.Close()
	o := open(t, newHost(t, nil), "probe", nil)
	got, err := backup(t, t.Context(), o, map[string]any{"do": "get", "url": far.URL, "proxy": proxy.URL})
	if err != nil || got != "far" || asked.Load() != 1 {
		t.Errorf("got %q, %v; the proxy was asked %d times", got, err, asked.Load())
	}
	secure := httptest.NewTLSServer(far.Config.Handler)
	defer secure.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	if got, err := backup(t, t.Context(), o, map[string]any{"do": "get", "url": secure.URL, "ca": ca}); err != nil || got != "far" {
		t.Errorf("with a CA: got %q, %v", got, err)
	}
	_, err = backup(t, t.Context(), o, map[string]any{"do": "get", "url": secure.URL})
	wantError(t, err, shield.Unavailable, "certificate")
}
