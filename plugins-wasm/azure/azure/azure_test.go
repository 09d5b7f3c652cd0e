package azure_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

// TestAzurite runs what needs a server on one.
func TestAzurite(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for name, f := range map[string]func(*testing.T, *server){
		"conformance": testConformance, "sizes": testSizes, "faults": testFaults, "stopped": testStopped, "damage": testDamage, "credentials": testCredentials,
		"permissions": testPermissions, "list": testList, "tier": testTier, "keeper": testKeeper, "versions": testVersions,
		"leftovers": testLeftovers, "places": testPlaces, "sandbox": testSandbox, "story": testStory,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, s)
		})
	}
}

func (s *server) origin() string { return strings.TrimSuffix(s.URL, "/"+s.Account) }

func testConformance(t *testing.T, s *server) {
	plugintest.Run(t, azure.Plugin(), plugintest.Config{StoreEndpoint: s.endpoint(t, s.origin(), s.container(t), "prefix", "a b/c")})
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

func testSizes(t *testing.T, s *server) {
	container := s.container(t)
	st := open(t, s.endpoint(t, s.origin(), container))
	// Around the size of a block, and more blocks than go up at once.
	for _, size := range []int64{1<<20 - 1, 1 << 20, 1<<20 + 1, 8 << 20, 12 << 20, 49<<20 + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { roundTrip(t, st, size) })
	}
	if left := s.left(t, container, ""); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func testSandbox(t *testing.T, s *server) {
	o := shieldtest.Sandboxed(t, "azure")
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		plugintest.Run(t, o, plugintest.Config{StoreEndpoint: s.endpoint(t, s.origin(), s.container(t))})
	})
	x := subject(o, s)
	x.Killed = true
	x.Run(t)
}

func testStory(t *testing.T, s *server) {
	container := s.container(t)
	resttest.Story(t, "azure", s.endpoint(t, s.origin(), container, "prefix", "shield"))
}

func testCredentials(t *testing.T, s *server) {
	container := s.container(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	const all = "racwdl"
	for name, c := range map[string]struct {
		more []any
		want string // of the error; empty if it works
	}{
		"key":                {nil, ""},
		"sas":                {[]any{"key", nil, "sas", "?" + azure.SAS(t, s.Account, s.Key, container, all, soon)}, ""},
		"connection string":  {[]any{"key", nil, "connection_string", "BlobEndpoint=" + s.URL + "/;AccountName=" + s.Account + ";AccountKey=" + s.Key}, ""},
		"connection sas":     {[]any{"key", nil, "connection_string", "BlobEndpoint=" + s.URL + ";SharedAccessSignature=" + azure.SAS(t, s.Account, s.Key, container, all, soon)}, ""},
		"wrong key":          {[]any{"key", "d3Jvbmc="}, "AuthenticationFailed"},
		"expired signature":  {[]any{"key", nil, "sas", azure.SAS(t, s.Account, s.Key, container, all, past)}, "has expired at"},
		"tampered signature": {[]any{"key", nil, "sas", strings.Replace(azure.SAS(t, s.Account, s.Key, container, "rl", soon), "sp=rl", "sp=racwdl", 1)}, "AuthenticationFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := open(t, s.endpoint(t, s.origin(), container, c.more...)).(plugin.Tester).Test(t.Context())
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, shield.Unauthorized, "azure.", s.URL, c.want)
		})
	}
	t.Run("clock skew", func(t *testing.T) {
		t.Parallel()
		p := faultproxy.StartHTTP(t, s.origin(), nil)
		p.Set(faultproxy.Rule{Fault: faultproxy.Say(faultproxy.Answer{Status: 403, Header: http.Header{
			"X-Ms-Error-Code": {"AuthenticationFailed"}, "Date": {time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)},
		}})})
		_, err := open(t, s.endpoint(t, p.URL, container)).Put(t.Context(), "k", strings.NewReader("x"))
		wantCode(t, err, shield.Unauthorized, "behind the service's")
	})
}

// testPermissions: a trial names what a signature lacks.
func testPermissions(t *testing.T, s *server) {
	for lacking, c := range map[string]struct{ permissions, want string }{
		"list":   {"racwd", "may not list, give the permission l"},
		"write":  {"rdl", "may not write, give the permissions c and w"},
		"read":   {"acwdl", "may not read, give the permission r"},
		"delete": {"racwl", "may not delete, give the permission d"},
	} {
		t.Run(lacking, func(t *testing.T) {
			t.Parallel()
			container := s.container(t)
			sas := azure.SAS(t, s.Account, s.Key, container, c.permissions, time.Now().Add(time.Hour))
			err := open(t, s.endpoint(t, s.origin(), container, "key", nil, "sas", sas)).(plugin.Tester).Test(t.Context())
			wantCode(t, err, shield.Forbidden, "azure.test", c.want)
			if strings.Contains(err.Error(), "sig=") {
				t.Errorf("%q has the signature", err)
			}
		})
	}
}

func testList(t *testing.T, s *server) {
	container := s.container(t)
	st := open(t, s.endpoint(t, s.origin(), container, "prefix", "p"))
	other := open(t, s.endpoint(t, s.origin(), container))
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		if _, err := st.Put(t.Context(), key, strings.NewReader(key)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Put(t.Context(), "pa/3", strings.NewReader("not below p/")); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := st.(plugin.Lister).List(t.Context(), "a/", func(o plugin.Object) error {
		if o.Size != 3 || time.Since(o.ModifiedAt) > time.Hour {
			t.Errorf("%+v", o)
		}
		got = append(got, o.Key)
		return nil
	})
	if err != nil || strings.Join(got, " ") != "a/1 a/2" {
		t.Errorf("got %q, %v", got, err)
	}
}

func testTier(t *testing.T, s *server) {
	container := s.container(t)
	st := open(t, s.endpoint(t, s.origin(), container, "access_tier", "cool"))
	for key, size := range map[string]int64{"small": 10, "large": 2 << 20} {
		if _, err := st.Put(t.Context(), key, plugintest.Stream(size, 1)); err != nil {
			t.Fatal(err)
		}
		if _, h, _ := s.ask(t, http.MethodHead, container+"/"+key, ""); h.Get("x-ms-access-tier") != "Cool" {
			t.Errorf("%s is in the tier %q", key, h.Get("x-ms-access-tier"))
		}
	}
}

// testLeftovers: deleting a key removes the blocks that a killed Put has left.
func testLeftovers(t *testing.T, s *server) {
	container := s.container(t)
	if status, _, _ := azure.PutBlock(t, s.URL+"/"+container+"/k", s.Account, s.Key); status != http.StatusCreated {
		t.Fatalf("status %d", status)
	}
	if left := s.left(t, container, ""); len(left) != 1 {
		t.Fatalf("%q are there, want k", left)
	}
	st := open(t, s.endpoint(t, s.origin(), container))
	if err := st.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if left := s.left(t, container, ""); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func testPlaces(t *testing.T, s *server) {
	st := open(t, s.endpoint(t, s.origin(), "not-there"))
	_, putErr := st.Put(t.Context(), "k", strings.NewReader("x"))
	_, getErr := st.Get(t.Context(), "k")
	listErr := st.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return nil })
	for name, err := range map[string]error{"put": putErr, "get": getErr, "delete": st.Delete(t.Context(), "k"), "list": listErr} {
		t.Run("no container, "+name, func(t *testing.T) { wantCode(t, err, shield.Invalid, "endpoint.container", "not-there does not exist") })
	}
}
