package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/shieldhq/shield"
)

// FuzzBodies sends any body to any route that takes one: the answer is JSON,
// never a failure of the daemon.
func FuzzBodies(f *testing.F) {
	x := newFixture(f)
	x.setUp("z")
	targets := []struct{ method, path string }{
		{"POST", "/v1/targets"}, {"POST", "/v1/stores"}, {"POST", "/v1/schedules"}, {"POST", "/v1/retention"}, {"POST", "/v1/jobs"},
		{"PATCH", "/v1/targets/z"}, {"PATCH", "/v1/stores/z"}, {"PATCH", "/v1/schedules/z"}, {"PATCH", "/v1/retention/z"}, {"PATCH", "/v1/jobs/z"},
		{"PATCH", "/v1/archives/z"}, {"POST", "/v1/archives/z/restore"},
		{"POST", "/v1/users"}, {"PATCH", "/v1/users/z"}, {"POST", "/v1/tokens"}, {"PATCH", "/v1/tokens/z"}, {"POST", "/v1/session"}, {"POST", "/v1/session/password"},
	}
	x.user("z", shield.RoleViewer)
	for i, n := range nouns {
		f.Add(i, []byte(n.body))
		f.Add(i+len(nouns), []byte(`{"summary":"x","version":1,"endpoint":{"name":"y","password":"********"},"priority":null}`))
	}
	f.Add(10, []byte(`{"notes":"x"}`))
	f.Add(11, []byte(`{"target":"z"}`))
	for i, body := range []string{
		`{"name":"y","role":"viewer","password":"correct horse battery"}`, `{"password":"********","disabled":true}`,
		`{"name":"y","role":"viewer","expires_at":"2999-01-01T00:00:00Z","user":"z"}`, `{"expires_at":"0001-01-01T00:00:00Z","used_at":null}`,
		`{"name":"z","password":"correct horse"}`, `{"old":"a","new":"b"}`,
	} {
		f.Add(12+i, []byte(body))
	}
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		to := targets[uint(which)%uint(len(targets))]
		req := httptest.NewRequest(to.method, to.path, bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		x.handler.ServeHTTP(w, req)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %s", to.method, to.path, w.Code, w.Body)
		}
	})
}

// FuzzPaths asks for any path with any query, with and without a token.
func FuzzPaths(f *testing.F) {
	x := newFixture(f)
	x.setUp("z")
	for _, s := range []string{"/", "//", "/v1/targets/%00", "/v1/targets/%2F%2E%2E", "/v1/archives?after=x&after=y", "/v1/tasks/a/follow?wait=1;", "/v1/jobs/:ref/run", "/v1/*", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" || u.Opaque != "" {
			t.Skip()
		}
		for _, with := range []string{"", "Bearer " + token} {
			req := &http.Request{Method: "GET", URL: u, Header: http.Header{"Authorization": {with}}, Body: http.NoBody}
			w := httptest.NewRecorder()
			x.handler.ServeHTTP(w, req)
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) && u.Path != "/v1/docs" || (with == "" && w.Code == 200 && !slices.Contains(open, "GET "+u.Path)) {
				t.Errorf("%q: %d %s", path, w.Code, w.Body)
			}
		}
	})
}
