package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shieldhq/shield/server"
)

// hostile are bodies that no operation wants, and such as a few do.
var hostile = []string{
	``, ` `, `null`, `[]`, `{}`, `"x"`, `5`, `true`, `{`, `{}{}`, `{"":""}`, `{"name":null}`, `{"name":{}}`, `{"name":[]}`, `{"name":"` + strings.Repeat("n", 1_000_000) + `"}`,
	"{\"name\":\"a\x00\"}", `{"name":"a\u0000"}`, "{\"name\":\"\xff\xfe\"}", `{"name":"\ud800"}`, `{"summary":"a\u0000"}`, `{"notes":"\u0000"}`, `{"note":"\u0000"}`,
	`{"uuid":"11111111-1111-4111-8111-111111111111"}`, `{"version":-1}`, `{"version":9223372036854775808}`, `{"expiry":1e400}`, `{"priority":1e9}`, `{"at":"9999999-01-01"}`,
	`{"target":"` + strings.Repeat("t", 1_000_000) + `"}`, `{"target":"\u0000"}`, `{"target":"../../etc/passwd"}`, `{"remove":"yes"}`, `{"held":"x"}`, `{"held":1}`,
	`{"timespec":"` + strings.Repeat("and ", 100_000) + `"}`, `{"timespec":"daily 4:00","timezone":"../../etc/passwd"}`, `{"endpoint":{"a":{"b":{"c":1}}}}`, `{"endpoint":"{}"}`,
	strings.Repeat(`[`, 100_000), strings.Repeat(`{"a":`, 100_000), `{"windows":[[[[]]]]}`, `{"limit":{"up":"-1"}}`, `{"tcp":5}`, `{"tcp":["*"],"exec":{"x":{"path":"/bin/sh"}}}`,
}

// TestHostileBodies sends such bodies to every operation of the document that
// changes something: the answer is a problem document or what is documented,
// never a failure of the daemon, and the log has no such failure.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("z")
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if r.Method == "GET" {
			continue
		}
		path := strings.Replace(r.Path, "{ref}", "z", 1)
		for _, body := range hostile {
			a := f.do(r.Method, path, body)
			if a.status >= 500 || len(a.body) > 20_000 || a.status != 204 && !json.Valid([]byte(a.body)) {
				t.Errorf("%s %s with %.60q: %d %.200s", r.Method, path, body, a.status, a.body)
			}
		}
		if r.RequestBody == nil {
			continue
		}
		if a := f.do(r.Method, path, `{"password":"hunter2","x":"hunter2"`); strings.Contains(a.body, "hunter2") {
			t.Errorf("%s %s shows what it was sent: %s", r.Method, path, a.body)
		}
	}
	if strings.Contains(f.log.String(), "a request failed") {
		t.Errorf("the daemon failed: %s", f.log)
	}
}

// TestHostileRefs asks every operation about what is not there, or cannot be.
func TestHostileRefs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if !strings.Contains(r.Path, "{ref}") {
			continue
		}
		for _, ref := range []string{
			"nope", "11111111-1111-4111-8111-111111111111", "%00", "%ff", "%2e%2e%2f%2e%2e", "a%2Fb", "%F0%9F%98%80", strings.Repeat("n", 10_000), "'%20OR%201=1--", "%25s%25n",
		} {
			body := ""
			if r.RequestBody != nil {
				body = `{"summary":"x"}`
			}
			if r.OperationID == "patchArchive" {
				body = `{"notes":"x"}`
			}
			a := f.do(r.Method, strings.Replace(r.Path, "{ref}", ref, 1), body)
			if p := f.refused(a); p.Status != 404 && p.Status != 400 || len(p.Detail) > 1000 {
				t.Errorf("%s of %.50s: %+v", r, ref, p)
			}
		}
	}
}

// endless is a body that says how long it is and counts what is read of it.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	for n := range p {
		p[n] = ' '
	}
	return len(p), nil
}

// TestHugeBody: of a body of 1 GiB no more is read than is allowed.
func TestHugeBody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if r.RequestBody == nil || r.RequestBody.Content["application/json"] == nil {
			continue
		}
		body := &endless{}
		req := httptest.NewRequest(r.Method, strings.Replace(r.Path, "{ref}", "z", 1), io.LimitReader(body, 1<<30))
		req.ContentLength = 1 << 30
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, req)
		most := "more than 2097152 bytes"
		if r.role() == "" {
			most = "more than 16384 bytes"
		}
		if n := body.read.Load(); w.Code != 400 || !strings.Contains(w.Body.String(), most) || n > 2*server.BodyLimit {
			t.Errorf("%s: %d after %d bytes: %.200s", r, w.Code, n, w.Body)
		}
	}
}

// TestRandomQueries asks every list for what no one would.
func TestRandomQueries(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	values := []string{"", "x", "%00", "%ff", "-1", "0", "1", "99999999999999999999", "true", "2026-01-01", "0000-00-00", "z", "%F0%9F%98%80", strings.Repeat("n", 1000)}
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if r.Method != "GET" || strings.Contains(r.Path, "{ref}") {
			continue
		}
		for _, p := range r.Parameters {
			if p.In != "query" {
				continue
			}
			for _, v := range values {
				a := f.do("GET", fmt.Sprintf("%s?%s=%s", r.Path, p.Name, v), "")
				if a.status >= 500 || a.status != http.StatusOK && len(f.refused(a).Detail) > 1000 {
					t.Errorf("%s?%s=%.50s: %d %.200s", r, p.Name, v, a.status, a.body)
				}
			}
		}
	}
}
