package webdav_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/storefault"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
)

func isTemp(r *http.Request) bool { return strings.Contains(r.URL.Path, ".shield-part-") }

// The requests of a Put, in their order.
func looksForKey(r *http.Request) bool {
	return r.Method == "PROPFIND" && r.Header.Get("Depth") == "0" && strings.HasSuffix(r.URL.Path, "/a") && !isTemp(r)
}
func isClaim(r *http.Request) bool  { return r.Method == http.MethodPut && r.ContentLength == 0 }
func isStream(r *http.Request) bool { return r.Method == http.MethodPut && r.ContentLength < 0 }
func isSmall(r *http.Request) bool  { return r.Method == http.MethodPut && r.ContentLength > 0 }
func looksForTemp(r *http.Request) bool {
	return r.Method == "PROPFIND" && isTemp(r)
}
func isWrite(r *http.Request) bool { return r.Method == http.MethodPut }

var (
	isFolder = faultproxy.Method("MKCOL")
	isMove   = faultproxy.Method("MOVE")
)

func subject(o plugin.Opener) *resttest.Subject {
	return &resttest.Subject{
		Opener: o,
		New: func(t testing.TB) *resttest.Place {
			w := testserver.StartRcloneDAV(t, nil)
			return &resttest.Place{
				URL:      w.URL[:strings.LastIndexByte(w.URL, '/')],
				Endpoint: func(at string) shield.Endpoint { return endpoint(t, w, at+"/dav") },
				Left:     func() []string { return w.Files(t) },
			}
		},
		Begin: isFolder, Part: isWrite, Commit: isMove, Single: isSmall, Size: 2<<20 + 1000,
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	subject(webdav.Plugin()).Run(t)
}

// faults returns what the table of faults needs to know. The proxy speaks TLS,
// and so does the server.
func faults(t *testing.T) storefault.Config {
	ca := testserver.NewCA(t)
	cert, key := ca.Issue("127.0.0.1")
	w, authority := testserver.StartRcloneDAV(t, &testserver.WebDAVOptions{Certificate: cert, Key: key}), faultproxy.NewAuthority(t)
	at := func(t testing.TB, url, prefix string, more ...any) shield.Endpoint {
		return endpoint(t, w, url, append([]any{"prefix", prefix, "stall_timeout", "2s", "ca", authority.PEM}, more...)...)
	}
	broken := func(code shield.Code, says string, e func(t testing.TB, url, prefix string) shield.Endpoint) storefault.Broken {
		return storefault.Broken{Code: code, Says: says, Endpoint: e}
	}
	return storefault.Config{
		Plugin: webdav.Plugin(), Upstream: "https://" + w.Addr, UpstreamTLS: &tls.Config{RootCAs: testserver.Roots(t, ca.PEM)},
		Authority: authority, Says: "/dav", Resumes: true,
		Endpoint: func(t testing.TB, url, prefix string) shield.Endpoint { return at(t, url+"/dav", prefix) },
		Left: func(t testing.TB, prefix string) []string {
			var left []string
			for _, name := range w.Files(t) {
				if strings.Contains(name, prefix) {
					left = append(left, name)
				}
			}
			return left
		},
		Download: faultproxy.Method(http.MethodGet),
		Remove:   faultproxy.Method(http.MethodDelete),
		Answer:   answer,
		Lie: func(stage string) faultproxy.Answer {
			if strings.HasPrefix(stage, "look") {
				return faultproxy.Answer{Status: 207, Body: `<multistatus xmlns="DAV:"></multistatus>`}
			}
			return faultproxy.Answer{Status: 201}
		},
		Broken: map[string]storefault.Broken{
			"no folder": broken(shield.Invalid, "does not exist", func(t testing.TB, url, prefix string) shield.Endpoint {
				return at(t, url+"/dav/not", prefix)
			}),
			"wrong password": broken(shield.Unauthorized, "user name or password is wrong", func(t testing.TB, url, prefix string) shield.Endpoint {
				return at(t, url+"/dav", prefix, "password", "wrong")
			}),
			"no such host": broken(shield.Unavailable, "nothing.invalid", func(t testing.TB, _, prefix string) shield.Endpoint {
				return at(t, "https://nothing.invalid/dav", prefix)
			}),
		},
	}
}

// answer is what a server says about an error.
func answer(e storefault.Error) faultproxy.Answer {
	a := faultproxy.Answer{Header: http.Header{"Content-Type": {"text/plain"}}, Body: "words of the server"}
	switch e {
	case storefault.Denied:
		a.Status = 403
	case storefault.ClockSkew:
		a.Status = 401
		a.Header.Set("WWW-Authenticate", `Basic realm="x"`)
		a.Header.Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
	case storefault.Expired:
		a.Status = 401
		a.Header.Set("WWW-Authenticate", `Basic realm="x"`)
	case storefault.Internal:
		a.Status = 500
	case storefault.TooMany:
		a.Status = 429
	default:
		a.Status = 503
	}
	return a
}

func TestFaults(t *testing.T) {
	t.Parallel()
	large := faults(t)
	large.Size = 2<<20 + 1000
	large.Stages = map[string]storefault.Stage{
		"look for the key": {Match: looksForKey}, "claim": {Match: isClaim}, "stream": {Match: isStream, Body: 2 << 20, Streamed: true},
		"look for the file": {Match: looksForTemp}, "rename": {Match: isMove},
	}
	t.Run("large", func(t *testing.T) {
		t.Parallel()
		storefault.Run(t, large)
	})
	small := faults(t)
	small.Size = 200_000
	small.Stages = map[string]storefault.Stage{"write": {Match: isSmall}}
	t.Run("small", func(t *testing.T) {
		t.Parallel()
		storefault.RunPuts(t, small)
	})
}

// TestRefusals: what servers say about uploads is passed on in words that help.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := testserver.StartRcloneDAV(t, nil)
	for name, c := range map[string]struct {
		match  func(*http.Request) bool
		answer faultproxy.Answer
		code   shield.Code
		says   string
	}{
		"length required":     {isStream, faultproxy.Answer{Status: 411}, shield.StoreFailed, "Transfer-Encoding: chunked"},
		"not implemented":     {isStream, faultproxy.Answer{Status: 501}, shield.StoreFailed, "Transfer-Encoding: chunked"},
		"too large":           {isStream, faultproxy.Answer{Status: 413}, shield.StoreFailed, "raise that limit"},
		"no room":             {isStream, faultproxy.Answer{Status: 507}, shield.StoreFailed, "no room is left"},
		"no room at the name": {isClaim, faultproxy.Answer{Status: 507}, shield.StoreFailed, "no room is left"},
		"locked":              {isMove, faultproxy.Answer{Status: 423}, shield.Locked, "somebody has locked"},
		"no WebDAV":           {faultproxy.Method("PROPFIND"), faultproxy.Answer{Status: 405}, shield.StoreFailed, "WebDAV service"},
		"redirect":            {faultproxy.Method("PROPFIND"), faultproxy.Answer{Status: 302, Header: http.Header{"Location": {"https://elsewhere.example/dav?secret=1"}}}, shield.StoreFailed, "https://elsewhere.example/dav, which is not followed"},
		"sabre's words":       {isFolder, faultproxy.Answer{Status: 403, Body: `<?xml version="1.0"?><d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:message>not on Sundays</s:message></d:error>`}, shield.Forbidden, "not on Sundays"},
		"another's page":      {faultproxy.Method("PROPFIND"), faultproxy.Answer{Status: 207, Body: "<html></html>"}, shield.StoreFailed, "not the list of properties"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
			p.Set(faultproxy.Rule{Match: c.match, Fault: faultproxy.Say(c.answer)})
			key := "2026/" + strings.ReplaceAll(name, " ", "-") + "/x"
			_, err := open(t, endpoint(t, w, p.URL+"/dav", "retries", 1)).Put(t.Context(), key, plugintest.Stream(2<<20, 1))
			wantCode(t, err, c.code, "webdav.put", p.URL, c.says)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q has what may be secret", err)
			}
			for _, left := range w.Files(t) {
				if strings.Contains(left, key) {
					t.Errorf("%q is left", left)
				}
			}
		})
	}
}

// TestTestRefusals: the test of a store sees what would go wrong with archives.
func TestTestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		match  func(*http.Request) bool
		status int
		code   shield.Code
		says   string
	}{
		"no lengths":     {isStream, 411, shield.StoreFailed, "Transfer-Encoding: chunked"},
		"may not list":   {func(r *http.Request) bool { return r.Method == "PROPFIND" && r.Header.Get("Depth") == "1" }, 403, shield.Forbidden, "may not list, give permission to read"},
		"may not put":    {isWrite, 401, shield.Forbidden, "may not write, give permission to make files"},
		"may not move":   {isMove, 403, shield.Forbidden, "may not write, give permission to make files"},
		"may not get":    {faultproxy.Method("GET"), 401, shield.Forbidden, "may not read, give"},
		"may not delete": {faultproxy.Method("DELETE"), 403, shield.Forbidden, "may not delete, give"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testserver.StartRcloneDAV(t, nil)
			p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
			p.Set(faultproxy.Rule{Match: c.match, Fault: faultproxy.Say(faultproxy.Answer{Status: c.status})})
			err := open(t, endpoint(t, w, p.URL+"/dav")).(plugin.Tester).Test(t.Context())
			wantCode(t, err, c.code, "webdav.", c.says)
		})
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	w := testserver.StartRcloneDAV(t, nil)
	quota := func(n string) string {
		return `<D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>` +
			`<D:quota-available-bytes>` + n + `</D:quota-available-bytes></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>`
	}
	for n, says := range map[string]string{"0": "no room is left", "-3": "", "123456789": ""} {
		t.Run(n, func(t *testing.T) {
			t.Parallel()
			p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
			deleted := false // rules are tried one request at a time
			p.Set(faultproxy.Rule{Match: func(r *http.Request) bool {
				// The last question is about the quota, after the file was deleted.
				deleted = deleted || r.Method == http.MethodDelete
				return deleted && r.Method == "PROPFIND" && r.URL.Path == "/dav/" && r.Header.Get("Depth") == "0"
			}, Fault: faultproxy.Say(faultproxy.Answer{Status: 207, Body: quota(n)})})
			err := open(t, endpoint(t, w, p.URL+"/dav")).(plugin.Tester).Test(t.Context())
			if says == "" && err != nil {
				t.Error(err)
			}
			if says != "" {
				wantCode(t, err, shield.StoreFailed, says)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
