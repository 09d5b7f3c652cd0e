package azure_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

// immutable stands before Azurite and has what that lacks, as the
// documentation of the service says: immutability policies, legal holds,
// versions.
type immutable struct {
	*httptest.Server
	mu       sync.Mutex
	policies map[string]http.Header // by path
	versions map[string]string      // of blobs that were deleted
	// containerPolicy refuses all deletions, as a policy of the container
	// does.
	containerPolicy bool
	versioned       bool
	deniedVersions  bool
}

const version = "2026-01-31T10:00:00.0000000Z"

func newImmutable(t testing.TB, s *server) *immutable {
	t.Helper()
	there, err := url.Parse(s.origin())
	if err != nil {
		t.Fatal(err)
	}
	x := &immutable{policies: map[string]http.Header{}, versions: map[string]string{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(there)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			x.mu.Lock()
			defer x.mu.Unlock()
			if r.Request.Method == http.MethodHead && r.StatusCode == http.StatusOK {
				for k, v := range x.policies[r.Request.URL.Path] {
					r.Header[k] = v
				}
				if x.versioned {
					r.Header.Set("x-ms-version-id", version)
				}
				if x.containerPolicy && r.Request.URL.Query().Get("restype") == "container" {
					r.Header.Set("x-ms-has-immutability-policy", "true")
				}
			}
			return nil
		},
	}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !x.answers(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(x.Close)
	return x
}

// answers reports whether a request was for what Azurite lacks.
func (x *immutable) answers(w http.ResponseWriter, r *http.Request) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	path := r.URL.Path
	refuse := func(status int, code string) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
	switch {
	case r.Method == http.MethodPut && r.URL.Query().Get("comp") == "immutabilityPolicies":
		h := http.Header{}
		for _, name := range []string{"x-ms-immutability-policy-until-date", "x-ms-immutability-policy-mode"} {
			h.Set(name, r.Header.Get(name))
		}
		x.policies[path] = h
		w.WriteHeader(200)
	case r.Method == http.MethodDelete && x.containerPolicy:
		refuse(409, "BlobImmutableDueToPolicy")
	case r.Method == http.MethodDelete && r.URL.Query().Has("versionid"):
		if x.deniedVersions {
			refuse(403, "AuthorizationPermissionMismatch")
			break
		}
		x.versions[path] = r.URL.Query().Get("versionid")
		w.WriteHeader(202)
	default:
		return false
	}
	return true
}

func testKeeper(t *testing.T, s *server) {
	until := time.Now().Add(48 * time.Hour)
	keep := func(t *testing.T, st plugin.Store) error {
		t.Helper()
		_, err := st.(plugin.Keeper).PutUntil(t.Context(), "k", strings.NewReader("kept"), until)
		return err
	}
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		e := s.endpoint(t, newImmutable(t, s).URL, s.container(t), "immutability_mode", "unlocked")
		plugintest.Run(t, azure.Plugin(), plugintest.Config{StoreEndpoint: e, Keeps: true})
	})
	t.Run("purged by the daemon", func(t *testing.T) {
		t.Parallel()
		e := s.endpoint(t, newImmutable(t, s).URL, s.container(t), "immutability_mode", "locked")
		resttest.LockedStory(t, "azure", e)
	})
	t.Run("kept", func(t *testing.T) {
		t.Parallel()
		x, container := newImmutable(t, s), s.container(t)
		st := open(t, s.endpoint(t, x.URL, container, "immutability_mode", "locked"))
		if err := keep(t, st); err != nil {
			t.Fatal(err)
		}
		err := st.Delete(t.Context(), "k")
		wantCode(t, err, shield.Locked, "azure.purge", "an immutability policy keeps k until")
		var e *shield.Error
		if !errors.As(err, &e) || e.Until.Before(until) || e.Until.After(until.Add(time.Second)) {
			t.Errorf("until %v, want %v or up to a second more", e.Until, until)
		}
		if h := x.policies["/"+s.Account+"/"+container+"/k"]; h.Get("x-ms-immutability-policy-mode") != "locked" {
			t.Errorf("policy %v", h)
		}
	})
	t.Run("a container that keeps nothing", func(t *testing.T) {
		t.Parallel()
		container := s.container(t)
		err := keep(t, open(t, s.endpoint(t, s.origin(), container, "immutability_mode", "unlocked"))) // Azurite itself
		wantCode(t, err, shield.Invalid, "endpoint.container", "immutability of versions")
		if left := s.left(t, container, ""); len(left) > 0 {
			t.Errorf("%q are left", left)
		}
	})
	t.Run("legal hold", func(t *testing.T) {
		t.Parallel()
		x, container := newImmutable(t, s), s.container(t)
		x.policies["/"+s.Account+"/"+container+"/k"] = http.Header{"X-Ms-Legal-Hold": {"true"}}
		st := open(t, s.endpoint(t, x.URL, container))
		if _, err := st.Put(t.Context(), "k", strings.NewReader("kept")); err != nil {
			t.Fatal(err)
		}
		wantCode(t, st.Delete(t.Context(), "k"), shield.Locked, "legal hold")
	})
	t.Run("policy of the container", func(t *testing.T) {
		t.Parallel()
		x, container := newImmutable(t, s), s.container(t)
		x.containerPolicy = true
		st := open(t, s.endpoint(t, x.URL, container))
		if _, err := st.Put(t.Context(), "k", strings.NewReader("kept")); err != nil {
			t.Fatal(err)
		}
		wantCode(t, st.Delete(t.Context(), "k"), shield.Locked, "BlobImmutableDueToPolicy")
		// Its trial object stays, and is no failure.
		if err := st.(plugin.Tester).Test(t.Context()); err != nil {
			t.Error(err)
		}
		// Blocks are not made into a blob that nobody could remove.
		if status, _, _ := azurePutBlock(t, s, container, "b"); status != http.StatusCreated {
			t.Fatalf("status %d", status)
		}
		if err := st.Delete(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if status, _, _ := s.ask(t, http.MethodHead, container+"/b", ""); status != http.StatusNotFound {
			t.Errorf("the blocks became a blob: status %d", status)
		}
	})
}

func testVersions(t *testing.T, s *server) {
	for name, denied := range map[string]bool{"deleted": false, "without the permission": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, container := newImmutable(t, s), s.container(t)
			x.versioned, x.deniedVersions = true, denied
			roundTrip(t, open(t, s.endpoint(t, x.URL, container)), 10)
			if got := x.versions["/"+s.Account+"/"+container+"/2026/01/31/size-10"]; (got == version) == denied {
				t.Errorf("the version %q was deleted, denied %t", got, denied)
			}
		})
	}
}
