package webdav_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
)

func TestMain(m *testing.M) { resttest.Main(m) }

// endpoint returns one at a URL with the server's password; more are pairs of
// field and value.
func endpoint(t testing.TB, w *testserver.WebDAV, at string, more ...any) shield.Endpoint {
	t.Helper()
	fields := map[string]any{"url": at, "username": w.User, "password": w.Password, "retries": 2}
	for i := 0; i < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
		if more[i+1] == nil {
			delete(fields, more[i].(string))
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, e shield.Endpoint) plugin.Store {
	t.Helper()
	s, err := webdav.Plugin().OpenStore(t.Context(), e, func(line string) { t.Log(line) })
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

func wantEmpty(t testing.TB, w *testserver.WebDAV) {
	t.Helper()
	if left := w.Files(t); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// roundTrip stores, reads back and removes a blob of a size.
func roundTrip(t *testing.T, st plugin.Store, size int64) {
	t.Helper()
	key := fmt.Sprintf("2026/01/31/size-%d", size)
	stored, err := st.Put(t.Context(), key, plugintest.Stream(size, 7))
	if err != nil || stored.Size != size || stored.Key != key {
		t.Fatalf("put of %d bytes: %+v, %v", size, stored, err)
	}
	wantContent(t, st, key, size)
	if err := st.Delete(t.Context(), key); err != nil {
		t.Error(err)
	}
}

func wantContent(t *testing.T, st plugin.Store, key string, size int64) {
	t.Helper()
	r, err := st.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	want := plugintest.Bytes(size, 7)
	if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes of %d, equal %t, %v", len(got), size, bytes.Equal(got, want), err)
	}
}
