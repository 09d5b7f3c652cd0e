package google_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/google/google"
)

// endpoint returns one at a URL, with tokens from the service; more are pairs
// of field and value.
func (s *service) endpoint(t testing.TB, at string, more ...any) shield.Endpoint {
	t.Helper()
	fields := map[string]any{
		"bucket": bucket, "endpoint": at, "token_url": s.URL + "/token", "json_key": s.jsonKey(t, s.URL+"/token"), "retries": 2,
	}
	for i := 0; i < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, e shield.Endpoint) plugin.Store {
	t.Helper()
	s, err := google.Plugin().OpenStore(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantCode(t testing.TB, err error, code shield.Code, parts ...string) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want the code %s", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
}

// emulator starts fake-gcs-server with the bucket.
func emulator(t testing.TB) *testserver.GCS {
	t.Helper()
	g := testserver.StartGCS(t, "")
	makeBucket(t, g.URL)
	return g
}

func makeBucket(t testing.TB, at string) {
	t.Helper()
	answer, err := http.Post(at+"/storage/v1/b?project=p", "application/json", strings.NewReader(`{"name":"`+bucket+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("making the bucket: %s", answer.Status)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("emulator", func(t *testing.T) {
		t.Parallel()
		s, g := newService(t), emulator(t)
		plugintest.Run(t, google.Plugin(), plugintest.Config{StoreEndpoint: s.endpoint(t, g.URL, "prefix", "a b/c")})
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		s := newService(t)
		plugintest.Run(t, google.Plugin(), plugintest.Config{StoreEndpoint: s.endpoint(t, s.URL, "retention_mode", "unlocked"), Keeps: true})
	})
}

// roundTrip stores, reads back and removes a blob of a size.
func roundTrip(t *testing.T, st plugin.Store, size int64) {
	t.Helper()
	key := fmt.Sprintf("2026/01/31/size-%d", size)
	stored, err := st.Put(t.Context(), key, plugintest.Stream(size, 7))
	if err != nil || stored.Size != size || stored.Key != key {
		t.Fatalf("put of %d bytes: %+v, %v", size, stored, err)
	}
	r, err := st.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	want, _ := io.ReadAll(plugintest.Stream(size, 7))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes of %d, equal %t, %v", len(got), size, bytes.Equal(got, want), err)
	}
	if err := errors.Join(r.Close(), st.Delete(t.Context(), key)); err != nil {
		t.Error(err)
	}
}

// sizes are around slabs and chunks.
var sizes = []int64{1<<20 - 1, 1 << 20, 1<<20 + 1, 2 << 20, 16 << 20, 16<<20 + 1, 50<<20 - 1}

func TestSizes(t *testing.T) {
	t.Parallel()
	s, g := newService(t), emulator(t)
	for name, st := range map[string]plugin.Store{"service": open(t, s.endpoint(t, s.URL)), "emulator": open(t, s.endpoint(t, g.URL))} {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) { roundTrip(t, st, size) })
		}
	}
	if left := s.left(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// TestPartialChunks: the service may take less of a chunk than it was given.
func TestPartialChunks(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.sessionCap = 768 << 10
	roundTrip(t, open(t, s.endpoint(t, s.URL)), 21<<20)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.versions = true
	roundTrip(t, open(t, s.endpoint(t, s.URL)), 10)
	if left := s.left(); len(left) > 0 {
		t.Errorf("after the purge %q are left", left)
	}
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(48 * time.Hour)
	t.Run("kept", func(t *testing.T) {
		t.Parallel()
		s := newService(t)
		st := open(t, s.endpoint(t, s.URL, "retention_mode", "locked"))
		if _, err := st.(plugin.Keeper).PutUntil(t.Context(), "k", strings.NewReader("kept"), until); err != nil {
			t.Fatal(err)
		}
		err := st.Delete(t.Context(), "k")
		wantCode(t, err, shield.Locked, "google.purge", "retention keeps k until")
		var e *shield.Error
		if !errors.As(err, &e) || e.Until.Before(until) || e.Until.After(until.Add(time.Second)) {
			t.Errorf("until %v, want %v or up to a second more", e.Until, until)
		}
		if mode := s.objects["k"].meta["retention"].(map[string]any)["mode"]; mode != "Locked" {
			t.Errorf("mode %v", mode)
		}
	})
	t.Run("a bucket that keeps nothing", func(t *testing.T) {
		t.Parallel()
		s := newService(t)
		s.noRetention = true
		st := open(t, s.endpoint(t, s.URL, "retention_mode", "unlocked"))
		_, err := st.(plugin.Keeper).PutUntil(t.Context(), "k", strings.NewReader("kept"), until)
		wantCode(t, err, shield.Invalid, "endpoint.bucket", "object retention")
		if names := s.names(); len(names) != 0 {
			t.Errorf("%q are left", names)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		s := newService(t)
		s.deny["storage.objects.setRetention"] = true
		st := open(t, s.endpoint(t, s.URL, "retention_mode", "unlocked"))
		_, err := st.(plugin.Keeper).PutUntil(t.Context(), "k", strings.NewReader("kept"), until)
		wantCode(t, err, shield.Forbidden, "storage.objects.setRetention")
		if names := s.names(); len(names) != 0 {
			t.Errorf("%q are left", names)
		}
	})
	t.Run("retention of the bucket", func(t *testing.T) {
		t.Parallel()
		s := newService(t)
		s.policyUntil = until
		st := open(t, s.endpoint(t, s.URL))
		if _, err := st.Put(t.Context(), "k", strings.NewReader("kept")); err != nil {
			t.Fatal(err)
		}
		wantCode(t, st.Delete(t.Context(), "k"), shield.Locked, "retention keeps k until")
		// A trial writes once and not again while that is kept.
		tester := st.(plugin.Tester)
		if err := tester.Test(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("hold", func(t *testing.T) {
		t.Parallel()
		s := newService(t)
		st := open(t, s.endpoint(t, s.URL))
		if _, err := st.Put(t.Context(), "k", strings.NewReader("kept")); err != nil {
			t.Fatal(err)
		}
		s.objects["k"].meta["temporaryHold"] = true
		wantCode(t, st.Delete(t.Context(), "k"), shield.Locked, "hold")
	})
}

func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	for _, permission := range []string{"storage.objects.list", "storage.objects.create", "storage.objects.get", "storage.objects.delete"} {
		t.Run(permission, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.deny[permission] = true
			err := open(t, s.endpoint(t, s.URL)).(plugin.Tester).Test(t.Context())
			wantCode(t, err, shield.Forbidden, "google.test", "give "+permission)
		})
	}
}

func TestTokenReplaced(t *testing.T) {
	t.Parallel()
	s := newService(t)
	st := open(t, s.endpoint(t, s.URL))
	if _, err := st.Put(t.Context(), "k", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	s.expire()
	r, err := st.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	s.expire()
	if err := st.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if s.issued != 3 {
		t.Errorf("%d tokens were issued, want 3", s.issued)
	}
}
