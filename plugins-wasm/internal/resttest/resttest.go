// Package resttest is for the tests of the stores that package rest serves:
// calls that are stopped at each of their requests, the module of a plugin,
// and the whole story with the daemon. Faults of networks and services are
// those of internal/storefault.
package resttest

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// A Subject is a plugin and how to recognize its requests.
type Subject struct {
	Opener plugin.Opener
	// New makes an empty place at a real server.
	New func(t testing.TB) *Place
	// Part, Commit and Single match the requests that carry a piece of a
	// large blob, that make it of its pieces, and that carry a small one.
	// Begin matches one that comes before the first piece.
	Begin, Part, Commit, Single func(*http.Request) bool
	// Size is that of a blob of some pieces.
	Size int64
	// Killed says that a plugin whose call is stopped cannot clean up, so that
	// unfinished pieces stay until the key is deleted.
	Killed bool
}

// A Place is an empty place at a server.
type Place struct {
	URL      string // of the server
	Endpoint func(at string) shield.Endpoint
	Left     func() []string // all that is there, unfinished pieces included
}

// A stage is a small or a large blob, so that faults hit all kinds of requests.
type stage struct {
	name  string
	match func(*http.Request) bool
	skip  int
	size  int64
}

func (s *Subject) stages() []stage {
	return []stage{
		{"small", s.Single, 0, 1000},
		{"begin", s.Begin, 0, s.Size},
		{"first part", s.Part, 0, s.Size},
		{"later part", s.Part, 1, s.Size},
		{"commit", s.Commit, 0, s.Size},
	}
}

// A setup is one test: a place, a proxy before it, and the store.
type setup struct {
	*Subject
	*Place
	proxy *faultproxy.HTTP
	store plugin.Store
}

func (s *Subject) setup(t *testing.T) *setup {
	t.Helper()
	p := s.New(t)
	x := &setup{Subject: s, Place: p, proxy: faultproxy.StartHTTP(t, p.URL, nil)}
	var err error
	if x.store, err = x.Opener.OpenStore(t.Context(), x.Endpoint(x.proxy.URL), func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
	return x
}

const key = "2026/01/31/blob"

func (x *setup) wantsEmpty(t *testing.T) {
	t.Helper()
	if left := x.Left(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// Main runs the tests of a package, more of them at once than there are
// processors: most of the time they wait.
func Main(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // is a flag of every test
	shieldtest.Main(m)
}

// Run runs them.
func (s *Subject) Run(t *testing.T) {
	t.Run("canceled", s.canceled)
	t.Run("broken input", s.broken)
}

// canceled: a Put that is stopped while a request is under way ends, and
// leaves nothing.
func (s *Subject) canceled(t *testing.T) {
	for _, at := range s.stages() {
		t.Run("at "+at.name, func(t *testing.T) {
			t.Parallel()
			x := s.setup(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen := 0 // rules are tried one request at a time
			x.proxy.Set(faultproxy.Rule{Match: func(r *http.Request) bool {
				if !at.match(r) {
					return false
				}
				if seen++; seen > at.skip {
					cancel()
				}
				return seen == at.skip+1
			}, Fault: faultproxy.StallResponse(-1)})
			if _, err := x.store.Put(ctx, key, plugintest.Stream(at.size, 1)); err == nil {
				t.Error("put that was canceled returned no error")
			}
			x.afterStop(t)
		})
	}
}

// broken: so does one whose input fails.
func (s *Subject) broken(t *testing.T) {
	t.Parallel()
	x := s.setup(t)
	broken := errors.New("the input is broken")
	_, err := x.store.Put(t.Context(), key, io.MultiReader(plugintest.Stream(s.Size, 1), failing{broken}))
	if err == nil || !s.Killed && !errors.Is(err, broken) {
		t.Errorf("error %v, want the input's", err)
	}
	x.afterStop(t)
}

// afterStop deletes the key, as the host does after a failed Put, where the
// plugin could not clean up.
func (x *setup) afterStop(t *testing.T) {
	t.Helper()
	for from := time.Now(); x.Killed; {
		if err := x.store.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		// The server may be about to carry out what it got before.
		if len(x.Left()) == 0 || time.Since(from) > time.Minute {
			break
		}
	}
	x.wantsEmpty(t)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
