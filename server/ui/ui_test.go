//go:build linux

package ui_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shieldhq/shield/server/ui"
)

// limit is the size, in bytes, of all that a browser loads, packed.
const limit = 150 << 10

// ask returns the answer to a GET with headers, given as name and value.
func ask(t *testing.T, h http.Handler, path string, headers ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler(t *testing.T) {
	for _, test := range []struct{ path, kind, base string }{
		{"/", "text/html; charset=utf-8", "./"},
		{"/index.html", "text/html; charset=utf-8", "./"},
		{"/jobs", "text/html; charset=utf-8", "./"},
		{"/jobs/www", "text/html; charset=utf-8", "../"},
		{"/jobs/a%2Fb/edit", "text/html; charset=utf-8", "../../"},
		{"/jobs/app.js", "text/html; charset=utf-8", "../"},
		{"/app.js", "text/javascript; charset=utf-8", ""},
		{"/app.css", "text/css; charset=utf-8", ""},
		{"/icon.svg", "image/svg+xml", ""},
	} {
		t.Run(test.path, func(t *testing.T) {
			res := ask(t, ui.Handler(), test.path)
			if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || kind != test.kind {
				t.Errorf("%d, %s", res.StatusCode, kind)
			}
			text := body(t, res)
			if test.base != "" && !strings.Contains(text, `<base href="`+test.base+`">`) {
				t.Errorf("the base is not %s: %s", test.base, text)
			}
			policy := res.Header.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "script-src 'self'", "form-action 'none'"} {
				if !strings.Contains(policy, want) {
					t.Errorf("the policy %q has no %s", policy, want)
				}
			}
			if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "data:") {
				t.Errorf("the policy is %q", policy)
			}
			if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("headers: %v", res.Header)
			}
		})
	}
}

func TestOnlyReads(t *testing.T) {
	w := httptest.NewRecorder()
	ui.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/jobs", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = httptest.NewRecorder()
	ui.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/app.js", nil))
	if w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}

func TestPrefix(t *testing.T) {
	h := http.StripPrefix("/a/b", ui.Handler())
	res := ask(t, h, "/a/b/")
	if text := body(t, res); !strings.Contains(text, `<base href="./">`) {
		t.Errorf("the base of the prefix is wrong: %s", text)
	}
	res = ask(t, h, "/a/b")
	if to, err := res.Location(); err != nil || res.StatusCode != http.StatusPermanentRedirect || to.String() != "./b/" {
		t.Errorf("%d to %v, %v", res.StatusCode, to, err)
	}
}

func TestCaching(t *testing.T) {
	h := ui.Handler()
	page := body(t, ask(t, h, "/"))
	found := regexp.MustCompile(`app\.(js|css)\?v=[0-9a-f]+`).FindAllString(page, -1)
	if len(found) != 2 {
		t.Fatalf("the page names %q", found)
	}
	for _, name := range found {
		if cache := ask(t, h, "/"+name).Header.Get("Cache-Control"); !strings.Contains(cache, "immutable") {
			t.Errorf("%s: Cache-Control is %q", name, cache)
		}
	}
	for _, path := range []string{"/", "/jobs", "/app.js", "/app.js?v=0"} {
		res := ask(t, h, path)
		if cache := res.Header.Get("Cache-Control"); cache != "no-cache" {
			t.Errorf("%s: Cache-Control is %q", path, cache)
		}
		if again := ask(t, h, path, "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: asked again, %d", path, again.StatusCode)
		}
	}
	if ask(t, h, "/").Header.Get("ETag") == ask(t, h, "/jobs/x").Header.Get("ETag") {
		t.Error("pages with different bases have one tag")
	}
}

func TestPacked(t *testing.T) {
	h := ui.Handler()
	plain := body(t, ask(t, h, "/app.js"))
	for accept, packed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false, "br": false, "": false} {
		res := ask(t, h, "/app.js", "Accept-Encoding", accept)
		text := body(t, res)
		if (res.Header.Get("Content-Encoding") == "gzip") != packed {
			t.Errorf("%q: Content-Encoding is %q", accept, res.Header.Get("Content-Encoding"))
			continue
		}
		if packed {
			r, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if text != plain {
			t.Errorf("%q: the content differs", accept)
		}
	}
}

// TestDist holds what is committed to what it must be: small, of this origin
// alone, and what the sources make.
func TestDist(t *testing.T) {
	total := 0
	for name, text := range files(t, "dist") {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		total += b.Len()
		if kind := ask(t, ui.Handler(), "/"+name).Header.Get("Content-Type"); kind == "" {
			t.Errorf("dist/%s has a type that the handler does not know", name)
		}
		for _, url := range regexp.MustCompile(`https?:\\?/\\?/[^\s"'`+"`"+`)]*`).FindAllString(string(text), -1) {
			if !known.MatchString(url) {
				t.Errorf("dist/%s names %s", name, url)
			}
		}
	}
	if total > limit {
		t.Errorf("the page has %d bytes packed: at most %d are allowed", total, limit)
	}
}

// known are addresses that nothing is loaded from: names of XML languages, and
// where Svelte explains its errors.
var known = regexp.MustCompile(`^(http://www\.w3\.org/(1999|2000|1998)/|https://svelte\.dev/e/)`)

func TestDistIsBuiltFromSources(t *testing.T) {
	install(t)
	out := filepath.Join(t.TempDir(), "dist")
	if text, err := exec.Command("./node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn", "--emptyOutDir", "--outDir", out).CombinedOutput(); err != nil {
		t.Fatalf("vite build: %v\n%s", err, text)
	}
	want, have := files(t, out), files(t, "dist")
	for name := range want {
		if !bytes.Equal(want[name], have[name]) {
			t.Errorf("dist/%s is not what its sources make: make ui", name)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			t.Errorf("dist/%s is made by no source", name)
		}
	}
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[name], err = fs.ReadFile(root, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
