package webdav_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
)

// large is the size of a blob that is streamed.
const large = 3<<20 + 1

// TestDigest: each request is proved with a nonce that is good, however short
// their lives are, and bytes that cannot be sent again are never refused.
func TestDigest(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"long nonces":  "AuthDigestNonceLifetime 300",
		"short nonces": "AuthDigestNonceLifetime 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testserver.StartApacheDAV(t, &testserver.WebDAVOptions{Apache: config + "\nRequire valid-user"})
			p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
			st := open(t, endpoint(t, w, p.URL+"/dav", "auth", "digest"))
			// Nonces that live for a second are over when the archive ends.
			slow := io.MultiReader(plugintest.Stream(2<<20, 7), readerFunc(func([]byte) (int, error) {
				time.Sleep(2100 * time.Millisecond)
				return 0, io.EOF
			}))
			if _, err := st.Put(t.Context(), "slow", slow); err != nil {
				t.Fatal(err)
			}
			wantContent(t, st, "slow", 2<<20)
			roundTrip(t, st, large)
			for _, seen := range p.Seen() {
				if a := seen.Header.Get("Authorization"); a != "" && !strings.HasPrefix(a, "Digest ") {
					t.Errorf("%s %s was proved by %.10q", seen.Method, seen.URL, a)
				}
				if seen.Status == 401 && seen.Method == http.MethodPut {
					t.Error("a PUT was refused")
				}
			}
		})
	}
}

// TestCounts: the uses of a nonce are counted.
func TestCounts(t *testing.T) {
	t.Parallel()
	w := testserver.StartApacheDAV(t, nil)
	p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
	roundTrip(t, open(t, endpoint(t, w, p.URL+"/dav")), 10)
	used := map[string]bool{}
	for _, seen := range p.Seen() {
		c := webdav.Challenges(seen.Header.Get("Authorization"))
		if len(c) == 0 {
			continue
		}
		use := c[0]["nonce"] + " " + c[0]["nc"]
		if c[0]["nc"] == "" || used[use] {
			t.Errorf("%s %s: the use %q of a nonce is not the first", seen.Method, seen.URL, use)
		}
		used[use] = true
	}
	if len(used) < 5 {
		t.Errorf("%d requests had a digest", len(used))
	}
}

// TestMixed: who may read without a password is asked for it when it writes.
func TestMixed(t *testing.T) {
	t.Parallel()
	w := testserver.StartApacheDAV(t, &testserver.WebDAVOptions{
		Apache: "<LimitExcept GET HEAD PROPFIND OPTIONS>\nRequire valid-user\n</LimitExcept>",
	})
	st := open(t, endpoint(t, w, w.URL))
	stored, err := st.Put(t.Context(), "k", plugintest.Stream(large, 7)) // no folder is made before it
	if err != nil || stored.Size != large {
		t.Fatal(stored, err)
	}
	wantContent(t, st, "k", large)
	_, err = open(t, endpoint(t, w, w.URL, "password", "wrong")).Put(t.Context(), "l", strings.NewReader("x"))
	wantCode(t, err, shield.Unauthorized, "user name or password is wrong")
	_, err = open(t, endpoint(t, w, w.URL, "username", nil, "password", nil)).Put(t.Context(), "l", strings.NewReader("x"))
	wantCode(t, err, shield.Unauthorized, "wants credentials, and there are none: digest")
	_, err = open(t, endpoint(t, w, w.URL, "auth", "basic")).Put(t.Context(), "l", strings.NewReader("x"))
	wantCode(t, err, shield.Unauthorized)
	if got := w.Files(t); len(got) != 1 {
		t.Errorf("the server has %q", got)
	}
}

// TestBasic: no password is sent in the clear where digest was asked for, and
// none before the server has asked, unless basic was.
func TestBasic(t *testing.T) {
	t.Parallel()
	w := testserver.StartRcloneDAV(t, nil)
	for how, wants := range map[string]bool{"auto": true, "basic": true, "digest": false} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
			_, err := open(t, endpoint(t, w, p.URL+"/dav", "auth", how)).Put(t.Context(), "of-"+how, strings.NewReader("x"))
			if !wants {
				wantCode(t, err, shield.Unauthorized, "no authentication that is supported or allowed: basic")
			} else if err != nil {
				t.Error(err)
			}
			for n, seen := range p.Seen() {
				if got := seen.Header.Get("Authorization") != ""; got != (wants && (n > 0 || how == "basic")) {
					t.Errorf("request %d has a password: %t", n, got)
				}
			}
		})
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	w := testserver.StartRcloneDAV(t, nil)
	to, _ := url.Parse("http://" + w.Addr)
	forward := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			rw.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.SetBasicAuth(w.User, w.Password)
		forward.ServeHTTP(rw, r)
	}))
	t.Cleanup(s.Close)
	roundTrip(t, open(t, endpoint(t, w, s.URL+"/dav", "username", nil, "password", nil, "token", "token-1")), large)
	_, err := open(t, endpoint(t, w, s.URL+"/dav", "username", nil, "password", nil, "token", "token-2")).Get(t.Context(), "k")
	wantCode(t, err, shield.Unauthorized, "webdav.get", "token is wrong, has expired")
	if strings.Contains(err.Error(), "token-2") {
		t.Errorf("%q has the token", err)
	}
}

// TestCertificates: the server's certificate is checked, and it may want one
// of ours.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ca := testserver.NewCA(t)
	cert, key := ca.Issue("127.0.0.1")
	w := testserver.StartApacheDAV(t, &testserver.WebDAVOptions{Certificate: cert, Key: key, ClientCA: ca.PEM})
	shieldtest.Both(t, "webdav", webdav.Plugin(), func(t *testing.T, o plugin.Opener) {
		get := func(more ...any) error {
			st, err := o.OpenStore(t.Context(), endpoint(t, w, w.URL, append(more, "retries", 0)...), func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			_, err = st.Get(t.Context(), "k")
			return err
		}
		wantCode(t, get("ca", ca.PEM, "cert", cert, "key", key), shield.NotFound)
		wantCode(t, get("skip_ssl_validation", true, "cert", cert, "key", key), shield.NotFound)
		wantCode(t, get("cert", cert, "key", key), shield.Unavailable, "certificate")
		wantCode(t, get("ca", ca.PEM), shield.Unavailable) // a reset connection, with TLS 1.3
	})
}

// TestProxy: everything goes by way of the proxy.
func TestProxy(t *testing.T) {
	t.Parallel()
	w := testserver.StartRcloneDAV(t, nil)
	var passed atomic.Int64
	forward := &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) { passed.Add(1) }}
	p := httptest.NewServer(forward)
	t.Cleanup(p.Close)
	shieldtest.Both(t, "webdav", webdav.Plugin(), func(t *testing.T, o plugin.Opener) {
		passed.Store(0)
		st, err := o.OpenStore(t.Context(), endpoint(t, w, w.URL, "proxy", p.URL), func(line string) { t.Log(line) })
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, st, large)
		if passed.Load() < 10 {
			t.Errorf("%d requests came by", passed.Load())
		}
	})
}

// TestBehindProxy: a server that does not know by which URL it is reached
// takes the path of the new name, or it is said what to do.
func TestBehindProxy(t *testing.T) {
	t.Parallel()
	t.Run("another host", func(t *testing.T) {
		t.Parallel()
		w := testserver.StartRcloneDAV(t, nil)
		to, _ := url.Parse("http://" + w.Addr)
		p := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
		t.Cleanup(p.Close)
		roundTrip(t, open(t, endpoint(t, w, p.URL+"/dav")), large)
	})
	t.Run("another scheme", func(t *testing.T) {
		t.Parallel()
		w, authority := testserver.StartApacheDAV(t, nil), faultproxy.NewAuthority(t)
		p := faultproxy.StartHTTP(t, "http://"+w.Addr, &faultproxy.Options{TLS: authority.Serve(t)})
		_, err := open(t, endpoint(t, w, p.URL+"/dav", "ca", authority.PEM)).Put(t.Context(), "k", strings.NewReader("x"))
		wantCode(t, err, shield.Unavailable, "502", "RequestHeader edit Destination")
		wantEmpty(t, w)
	})
}

// TestResume: a download goes on in the same version only.
func TestResume(t *testing.T) {
	t.Parallel()
	w := testserver.StartApacheDAV(t, nil)
	isGet := faultproxy.Method(http.MethodGet)
	for name, c := range map[string]struct {
		rules []faultproxy.Rule
		code  shield.Code
		says  string
	}{
		"goes on": {rules: []faultproxy.Rule{{Match: isGet, Times: 1, Fault: faultproxy.ResetResponse(1 << 20)}}},
		"twice": {rules: []faultproxy.Rule{
			{Match: isGet, Times: 1, Fault: faultproxy.ResetResponse(1 << 20)}, {Match: isGet, Times: 1, Fault: faultproxy.CloseResponse(1000)},
		}},
		"all again": {[]faultproxy.Rule{
			{Match: isGet, Times: 1, Fault: faultproxy.ResetResponse(1 << 20)},
			{Match: isGet, Fault: faultproxy.Say(faultproxy.Answer{Status: 200, Body: "x"})},
		}, shield.StoreFailed, "all were given"},
		"another version": {[]faultproxy.Rule{
			{Match: isGet, Times: 1, Fault: faultproxy.ResetResponse(1 << 20)},
			{Match: isGet, Fault: faultproxy.Say(faultproxy.Answer{Status: 206, Header: http.Header{"Etag": {`"other"`}}, Body: "x"})},
		}, shield.StoreFailed, "has changed meanwhile"},
		"other bytes": {[]faultproxy.Rule{
			{Match: isGet, Times: 1, Fault: faultproxy.ResetResponse(1 << 20)},
			{Match: isGet, Fault: faultproxy.Say(faultproxy.Answer{Status: 206, Header: http.Header{"Content-Range": {"bytes 0-0/1"}}, Body: "x"})},
		}, shield.StoreFailed, `"bytes 0-0/1" was given`},
		"gone": {[]faultproxy.Rule{
			{Match: isGet, Times: 1, Fault: faultproxy.ResetResponse(1 << 20)},
			{Match: isGet, Fault: faultproxy.Say(faultproxy.Answer{Status: 412})},
		}, shield.Conflict, "412"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := faultproxy.StartHTTP(t, "http://"+w.Addr, nil)
			st := open(t, endpoint(t, w, p.URL+"/dav"))
			key := strings.ReplaceAll(name, " ", "-")
			if _, err := open(t, endpoint(t, w, w.URL)).Put(t.Context(), key, plugintest.Stream(large, 7)); err != nil {
				t.Fatal(err)
			}
			p.Set(c.rules...)
			if c.code == "" {
				wantContent(t, st, key, large)
				return
			}
			r, err := st.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, r)
			wantCode(t, errors.Join(err, r.Close()), c.code, "webdav.get", c.says)
		})
	}
}
