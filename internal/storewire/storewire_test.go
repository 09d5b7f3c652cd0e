package storewire_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

var endpoint = shield.Endpoint(`{"name":"x"}`)

// wired puts the wire between a store and its user.
func wired(t *testing.T, o plugin.Opener, wrap func(http.Handler) http.Handler) *storewire.Opener {
	t.Helper()
	s, err := o.OpenStore(t.Context(), endpoint, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	info, err := o.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = &storewire.Handler{Store: s}
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &storewire.Opener{About: info, Client: srv.Client(), Base: srv.URL}
}

func open(t *testing.T, o plugin.Opener) plugin.Store {
	t.Helper()
	s, err := o.OpenStore(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConformance runs the suite of all stores on one behind the wire.
func TestConformance(t *testing.T) {
	t.Parallel()
	memory := plugintest.NewMemory()
	plugintest.Run(t, &checked{wired(t, memory, nil), memory}, plugintest.Config{StoreEndpoint: endpoint})
}

// checked looks at endpoints, as the other side does when it opens the store.
type checked struct {
	*storewire.Opener
	inner plugin.Opener
}

func (c *checked) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	if _, err := c.inner.OpenStore(ctx, e, log); err != nil {
		return nil, err
	}
	return c.Opener.OpenStore(ctx, e, log)
}

func TestSourceFails(t *testing.T) {
	t.Parallel()
	memory := plugintest.NewMemory()
	s := open(t, wired(t, memory, nil))
	broken := shield.Errorf(shield.TargetFailed, "", "broke")
	r := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), &failing{broken})
	if _, err := s.Put(t.Context(), "k", r); !errors.Is(err, shield.TargetFailed) {
		t.Errorf("%v, want the error of the stream", err)
	}
	if keys := memory.Keys("x"); len(keys) != 0 {
		t.Errorf("the store has %q of a stream that failed", keys)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// TestRefusedEarly checks that the reason arrives of a store that fails when
// most of a large blob is yet to be sent.
func TestRefusedEarly(t *testing.T) {
	t.Parallel()
	faulty := plugintest.NewFaulty(plugintest.NewMemory())
	faulty.Set(plugintest.PutFailsAfter, 1000)
	s := open(t, wired(t, faulty, nil))
	_, err := s.Put(t.Context(), "k", io.LimitReader(rand.Reader, 64<<20))
	if !errors.Is(err, shield.StoreFailed) {
		t.Errorf("%v, want what the store said", err)
	}
}

func TestGetFails(t *testing.T) {
	t.Parallel()
	memory := plugintest.NewMemory()
	memory.SetBlob("x", "k", make([]byte, 1<<20))
	faulty := plugintest.NewFaulty(memory)
	faulty.Set(plugintest.GetFailsAfter, 1000)
	r, err := open(t, wired(t, faulty, nil)).Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, shield.StoreFailed) {
		t.Errorf("%d bytes, then %v, want what the store said", n, err)
	}
}

// TestChangedOnTheWay puts something between that changes one byte.
func TestChangedOnTheWay(t *testing.T) {
	t.Parallel()
	memory := plugintest.NewMemory()
	memory.SetBlob("x", "old", []byte("content"))
	s := open(t, wired(t, memory, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			req.Body = io.NopCloser(&changing{r: req.Body})
			next.ServeHTTP(&changingWriter{w}, req)
		})
	}))
	if _, err := s.Put(t.Context(), "new", strings.NewReader("content")); !errors.Is(err, shield.Corrupt) {
		t.Errorf("put: %v, want Corrupt", err)
	}
	if _, there := memory.Blob("x", "new"); there {
		t.Error("a blob that was changed on its way was stored")
	}
	r, err := s.Get(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); !errors.Is(err, shield.Corrupt) {
		t.Errorf("get: %v, want Corrupt", err)
	}
}

type changing struct{ r io.Reader }

func (c *changing) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		p[0] ^= 1
	}
	return n, err
}

type changingWriter struct{ http.ResponseWriter }

func (c *changingWriter) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("content")) {
		p = append([]byte{p[0] ^ 1}, p[1:]...)
	}
	return c.ResponseWriter.Write(p)
}

// told gives content, and a digest that it says is of it.
type told struct {
	io.Reader
	digest string
}

func (d *told) Digest() string { return d.digest }

// TestKnownDigest checks that the digest of a stream that knows its own is what
// both sides compare with what arrived.
func TestKnownDigest(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("content"), 100_000) // more than is sent as one piece
	right := fmt.Sprintf("blake3:%x", blake3.Sum256(content))
	for _, c := range []struct {
		name, digest string
		want         error
	}{
		{"right", right, nil},
		{"of something else", fmt.Sprintf("blake3:%x", blake3.Sum256(nil)), shield.Corrupt},
		{"none", "", shield.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			memory := plugintest.NewMemory()
			_, err := open(t, wired(t, memory, nil)).Put(t.Context(), "k", &told{bytes.NewReader(content), c.digest})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if got, there := memory.Blob("x", "k"); there != (c.want == nil) || there && !bytes.Equal(got, content) {
				t.Errorf("stored: %v, %d bytes of %d", there, len(got), len(content))
			}
		})
	}
}

// TestAnsweredTooEarly has the other side say that all is well before it has
// been sent all.
func TestAnsweredTooEarly(t *testing.T) {
	t.Parallel()
	early := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			storewire.WriteJSON(w, http.StatusOK, struct{}{})
		})
	}
	s := open(t, wired(t, plugintest.NewMemory(), early))
	r, w := io.Pipe()
	defer w.Close() // nothing is ever written
	if _, err := s.Put(t.Context(), "k", r); !errors.Is(err, shield.StoreFailed) {
		t.Errorf("%v, want StoreFailed", err)
	}
}

// TestCut checks that a broken link is no end.
func TestCut(t *testing.T) {
	t.Parallel()
	memory := plugintest.NewMemory()
	memory.SetBlob("x", "old", make([]byte, 1<<20))
	s := open(t, wired(t, memory, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet {
				_, _ = w.Write([]byte("some"))
				http.NewResponseController(w).Flush()
			}
			panic(http.ErrAbortHandler)
		})
	}))
	if _, err := s.Put(t.Context(), "k", strings.NewReader("content")); !errors.Is(err, shield.Unavailable) {
		t.Errorf("put: %v, want Unavailable", err)
	}
	r, err := s.Get(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); !errors.Is(err, shield.Unavailable) {
		t.Errorf("get: %d bytes, then %v, want Unavailable", len(b), err)
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	s := open(t, wired(t, plugintest.NewMemory(), nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(shield.Errorf(shield.TimedOut, "", "too late"))
	if _, err := s.Put(ctx, "k", strings.NewReader("x")); !errors.Is(err, shield.TimedOut) {
		t.Errorf("%v, want why it was canceled", err)
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		shield.FieldErrorf("endpoint.x", "is wrong"),
		&shield.Error{Code: shield.StoreFailed, Message: "it said no", Err: shield.FieldErrorf("y", "bad")},
		shield.Errorf(shield.Unavailable, "", "gone"),
		errors.New("foreign"),
	} {
		got := storewire.FailureOf(err).Err()
		if shield.CodeOf(got) != shield.CodeOf(err) || shield.MayPass(got) != shield.MayPass(err) || got.Error() != err.Error() {
			t.Errorf("%v (%s, may pass %v) became %v (%s, %v)", err, shield.CodeOf(err), shield.MayPass(err), got, shield.CodeOf(got), shield.MayPass(got))
		}
	}
	if storewire.FailureOf(nil).Err() != nil {
		t.Error("no error became one")
	}
}

// TestLyingServer has the other side say what cannot be true, or without end.
func TestLyingServer(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, text string) {
		for {
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
	}
	put := func(s plugin.Store) error {
		_, err := s.Put(t.Context(), "k", strings.NewReader("content"))
		return err
	}
	list := func(s plugin.Store) error {
		return s.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return nil })
	}
	for _, c := range []struct {
		name string
		lie  func(w http.ResponseWriter)
		call func(plugin.Store) error
		code shield.Code
	}{
		{"another digest", func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"size":7,"digest":"blake3:00"}`) }, put, shield.StoreFailed},
		{"an endless answer", func(w http.ResponseWriter) { endless(w, strings.Repeat(" ", 1000)) }, put, shield.Unavailable},
		{"an endless error", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadGateway)
			endless(w, strings.Repeat("x", 1000))
		}, put, shield.Unavailable},
		{"an endless line of a list", func(w http.ResponseWriter) { endless(w, strings.Repeat("x", 1000)) }, list, shield.Unavailable},
		{"a list without an end", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}\n") }, list, shield.Unavailable},
		{"somewhere else", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		}, list, shield.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := wired(t, plugintest.NewMemory(), func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					_, _ = io.Copy(io.Discard, req.Body)
					c.lie(w)
				})
			})
			if err := c.call(open(t, o)); !errors.Is(err, c.code) {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}
