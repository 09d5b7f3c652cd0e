package server_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// TestMethods asks every path for every method, by every way to write the path:
// what has no route is refused whoever asks, what has one wants a token, and
// nothing is done.
func TestMethods(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("z")
	nobody := func(method, path string) answer {
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, httptest.NewRequest(method, path, http.NoBody))
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	routes := map[string][]string{}
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		routes[r.Path] = append(routes[r.Path], r.Method)
	}
	for path, known := range routes {
		path := strings.Replace(path, "{ref}", "z", 1)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "Delete"} {
			known := slices.Contains(known, method) || method == "HEAD" && slices.Contains(known, "GET")
			a := nobody(method, path)
			switch {
			case slices.Contains(open, method+" "+path), slices.Contains(open, "GET "+path) && method == "HEAD":
			case a.status == 405 && (!known || method == "HEAD"):
				if allow := a.header.Get("Allow"); allow == "" || slices.Contains(strings.Split(allow, ", "), method) {
					t.Errorf("%s %s: Allow is %q", method, path, allow)
				}
			case a.status != 401:
				t.Errorf("%s %s by nobody: %d %s", method, path, a.status, a.body)
			}
			for _, odd := range []string{path + "/", "/" + path, strings.Replace(path, "/", "//", 2), path + "/.", path + "%2f", "/x/.." + path, path + ";x", path + "%00"} {
				if a := nobody(method, odd); a.status != 401 && a.status != 404 && a.status != 405 {
					t.Errorf("%s %s by nobody: %d %s", method, odd, a.status, a.body)
				}
			}
		}
	}
	if j, err := f.client.Jobs().Get(t.Context(), "z"); err != nil || j.Version != 1 {
		t.Errorf("the job is %+v, %v", j, err)
	}
}

// TestHead: HEAD is answered as GET is, without the body, and by the same rules.
func TestHead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	for _, path := range []string{"/healthz", "/v1/jobs/a", "/v1/jobs?limit=1", "/v1/archives/" + a.UUID, "/v1/nope", "/v1/jobs/nope", "/v1/jobs?x=y", "/metrics", "/v1/docs"} {
		get, head := f.do("GET", path, ""), f.do("HEAD", path, "")
		if head.status != get.status || head.body != "" || head.header.Get("ETag") != get.header.Get("ETag") || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("%s: %d %v %q, and GET %d %v", path, head.status, head.header, head.body, get.status, get.header)
		}
		if nobody := f.in("HEAD", path, ""); nobody.status != f.in("GET", path, "").status {
			t.Errorf("HEAD %s by nobody: %d", path, nobody.status)
		}
	}
	before, err := f.client.Audit(t.Context(), nil)
	f.must(err)
	for _, path := range []string{"/v1/archives/" + a.UUID + "/content", "/v1/events", "/v1/tasks/x/log"} {
		if a := f.do("HEAD", path, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET" {
			t.Errorf("%s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
		}
	}
	after, err := f.client.Audit(t.Context(), nil)
	f.must(err)
	if len(after) != len(before) {
		t.Errorf("the audit log has %d entries more", len(after)-len(before))
	}
}

// TestOtherSitesEverywhere: a page of another site changes nothing in the name of whoever
// looks at it, by no method and no way to write the path.
func TestOtherSitesEverywhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("z")
	f.user("ann", shield.RoleAdmin)
	cookie, _ := f.login("ann", secretWord)
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		path := strings.Replace(r.Path, "{ref}", "z", 1)
		for _, from := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://elsewhere.example"}, {"Origin", "null"}} {
			for _, method := range []string{r.Method, strings.ToLower(r.Method)} {
				if r.Method == "GET" {
					continue
				}
				a := f.in(method, path, `{"name":"z","password":"z"}`, append([]string{"Cookie", cookie}, from...)...)
				if a.status != 403 && (method == r.Method || a.status != 405) {
					t.Errorf("%s %s with %s: %d %s", method, path, from, a.status, a.body)
				}
			}
		}
	}
	if a := f.in("DELETE", "/v1/jobs/z", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); a.status != 204 {
		t.Errorf("by the page itself: %d %s", a.status, a.body)
	}
}
