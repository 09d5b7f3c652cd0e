package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/shieldhq/shield/server"
)

// TestGoneClients: that a client has gone before its answer is no failure of the
// daemon, and not for its log.
func TestGoneClients(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("z")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		body := `{"name":"z"}`
		if r.Method == "GET" || r.Method == "DELETE" {
			body = ""
		}
		req := httptest.NewRequest(r.Method, strings.Replace(r.Path, "{ref}", "z", 1), strings.NewReader(body)).WithContext(gone)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, req)
		if strings.Contains(f.log.String(), "level=ERROR") {
			t.Fatalf("%s: %d %s, and the log %s", r, w.Code, w.Body, f.log)
		}
	}
}

// TestForgedCursors: a cursor that no Link had is refused, or is a place like any.
func TestForgedCursors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("z")
	f.backup("z")
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		for _, p := range r.Parameters {
			if p.Name != "sort" {
				continue
			}
			for _, sort := range p.Schema.Enum {
				for _, value := range []any{"", "x", "1' OR '1'='1", "\x00", "9999999999999999999999", "2026-13-45", "0001-01-01T00:00:00Z", strings.Repeat("v", 10_000), 5, nil} {
					for _, id := range []any{"", "x", "' --", "\x00", -1, nil} {
						b, err := json.Marshal(map[string]any{"s": sort, "Value": value, "ID": id})
						f.must(err)
						w := httptest.NewRecorder()
						req := httptest.NewRequest("GET", r.Path+"?"+url.Values{"sort": {sort.(string)}, "limit": {"1"}, "cursor": {base64.RawURLEncoding.EncodeToString(b)}}.Encode(), nil)
						req.Header.Set("Authorization", "Bearer "+token)
						f.handler.ServeHTTP(w, req)
						if w.Code != 200 && w.Code != 400 || w.Body.Len() > 20_000 {
							t.Errorf("%s with %.100s: %d %.300s", r, b, w.Code, w.Body)
						}
					}
				}
			}
		}
	}
}
