// Package storefault is the table of what goes wrong between a store plugin
// and its server, for the test of any store that speaks HTTP. A faultproxy
// stands in between, the server is real. In every case a Put, Get or Delete
// either does what it should all the same, or fails with an error that names
// the store, the operation and the cause, and leaves nothing half-written.
package storefault

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/plugin"
)

// Config says what to test.
type Config struct {
	Plugin plugin.Opener
	// Upstream is the URL of the server, and UpstreamTLS how it is trusted.
	Upstream    string
	UpstreamTLS *tls.Config
	// Authority issues the proxy's certificates. Without one the proxy speaks
	// plain HTTP, and the faults of certificates are left out.
	Authority *faultproxy.Authority
	// Endpoint is a store at the proxy's URL that keeps its blobs below a
	// prefix. Its idle timeout should be 2 seconds, its retries 2.
	Endpoint func(t testing.TB, url, prefix string) shield.Endpoint
	// Left lists all that the server holds below a prefix, unfinished
	// uploads and hidden versions included.
	Left func(t testing.TB, prefix string) []string
	// Size is that of a blob that needs several requests.
	Size int
	// Stages are the requests that a Put of that size makes, by name: the
	// faults of uploads happen to each.
	Stages map[string]Stage
	// Download and Remove mean the requests that read and remove a blob.
	Download, Remove func(*http.Request) bool
	// Answer is what the service says about an error.
	Answer func(e Error) faultproxy.Answer
	// Lie is what it says about success of a stage, to be told by the proxy.
	Lie func(stage string) faultproxy.Answer
	// Broken are endpoints that do not work, by name.
	Broken map[string]Broken
	// Resumes says that a Get whose connection breaks goes on by itself.
	Resumes bool
	// Says is what every error has to have in it, like the bucket's name.
	Says string
}

// A Stage is one kind of request.
type Stage struct {
	Match func(*http.Request) bool
	Body  int64 // how many bytes its body has at the least; 0 for none
	// Compared says that the server compares the body with a checksum.
	Compared bool
	// Streamed says that there is one such request in a Put, and that its body
	// cannot be sent again: a fault that happens to it once may be told in
	// place of being survived.
	Streamed bool
}

// Broken is an endpoint that does not work and what has to be said of it.
type Broken struct {
	Endpoint func(t testing.TB, url, prefix string) shield.Endpoint
	Code     shield.Code
	Says     string
}

// An Error is one that services have words for.
type Error string

// The errors of services.
const (
	Denied      Error = "denied"      // 403
	ClockSkew   Error = "clock skew"  // 403: the request is too old or from the future
	Expired     Error = "expired"     // temporary keys have ended
	Unavailable Error = "unavailable" // 503
	Internal    Error = "internal"    // 500
	TooMany     Error = "too many"    // 429
)

// Run runs the table, a subtest a fault.
func Run(t *testing.T, cfg Config) {
	t.Run("put", func(t *testing.T) { runPuts(t, &cfg) })
	t.Run("get", func(t *testing.T) { runGets(t, &cfg) })
	t.Run("delete", func(t *testing.T) { runDeletes(t, &cfg) })
	t.Run("endpoint", func(t *testing.T) { runEndpoints(t, &cfg) })
}

// RunPuts runs the faults of uploads alone, for another size whose blobs are
// read and removed like those that Run has tried.
func RunPuts(t *testing.T, cfg Config) { runPuts(t, &cfg) }

// patience is a net for what hangs.
const patience = 2 * time.Minute

// A bench is a proxy and a store behind it.
type bench struct {
	t      *testing.T
	cfg    *Config
	proxy  *faultproxy.HTTP
	store  plugin.Store
	prefix string
	ctx    context.Context
}

func newBench(t *testing.T, cfg *Config, config *tls.Config) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{t: t, cfg: cfg, prefix: fmt.Sprintf("fault-%x", rand.Uint64())}
	b.proxy = faultproxy.StartHTTP(t, cfg.Upstream, &faultproxy.Options{TLS: config, Upstream: cfg.UpstreamTLS})
	b.open(cfg.Endpoint(t, b.proxy.URL, b.prefix))
	var cancel context.CancelFunc
	b.ctx, cancel = context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return b
}

func (b *bench) open(e shield.Endpoint) {
	b.t.Helper()
	st, err := b.cfg.Plugin.OpenStore(b.t.Context(), e, func(line string) { b.t.Log(line) })
	if err != nil {
		b.t.Fatal(err)
	}
	b.store = st
}

func serve(t *testing.T, cfg *Config) *tls.Config {
	if cfg.Authority == nil {
		return nil
	}
	return cfg.Authority.Serve(t)
}

func (b *bench) data() []byte {
	data := make([]byte, b.cfg.Size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

const key = "a"

func (b *bench) put() error {
	_, err := b.store.Put(b.ctx, key, bytes.NewReader(b.data()))
	return err
}

func (b *bench) get() ([]byte, error) {
	r, err := b.store.Get(b.ctx, key)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(r)
	return got, errors.Join(err, r.Close())
}

// whole checks that the blob is there and can be removed without a trace.
func (b *bench) whole() {
	b.t.Helper()
	b.proxy.Set()
	if got, err := b.get(); err != nil || !bytes.Equal(got, b.data()) {
		b.t.Errorf("reading it back gives %d bytes, %v", len(got), err)
	}
	if err := b.store.Delete(b.ctx, key); err != nil {
		b.t.Error(err)
	}
	b.nothing()
}

// nothing checks that nothing is left.
func (b *bench) nothing() {
	b.t.Helper()
	if left := b.cfg.Left(b.t, b.prefix); len(left) > 0 {
		b.t.Errorf("left behind: %q", left)
	}
}

// wrong checks an error.
func (b *bench) wrong(err error, operation string, code shield.Code, says string) {
	b.t.Helper()
	if !errors.Is(err, code) {
		b.t.Errorf("got %v (%s), want %s", err, shield.CodeOf(err), code)
		return
	}
	for _, text := range []string{operation, b.cfg.Says, says} {
		if !strings.Contains(err.Error(), text) {
			b.t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

// hit checks that the fault was what happened.
func (b *bench) hit() {
	b.t.Helper()
	if b.proxy.Hits() == 0 {
		b.t.Error("the fault has not happened")
	}
}
