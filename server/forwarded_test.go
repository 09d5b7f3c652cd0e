package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/shieldhq/shield/server"
)

// TestForwarded asks from an address, through proxies or not, and looks at whom
// the audit log names.
func TestForwarded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var proxies []netip.Prefix
	for _, p := range []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8::/64"} {
		proxies = append(proxies, netip.MustParsePrefix(p))
	}
	behind := server.New(f.catalog, f.scheduler, f.plugins, nil, server.Options{Token: token, Proxies: proxies})
	open := server.New(f.catalog, f.scheduler, f.plugins, nil, server.Options{Token: token})
	from := func(s *server.Server, remote string, headers ...string) string {
		req := httptest.NewRequest("DELETE", "/v1/targets/nope", http.NoBody)
		req.Header.Set("Authorization", "Bearer "+token)
		req.RemoteAddr = remote
		for _, h := range headers {
			req.Header.Add("X-Forwarded-For", h)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != 404 {
			t.Fatalf("%s %v: %d %s", remote, headers, w.Code, w.Body)
		}
		all, err := f.client.Audit(t.Context(), nil)
		f.must(err)
		return all[0].From
	}
	for name, c := range map[string]struct {
		remote  string
		headers []string
		want    string
	}{
		"no header":                     {"10.0.0.1:80", nil, "10.0.0.1"},
		"through one":                   {"10.0.0.1:80", []string{"198.51.100.1"}, "198.51.100.1"},
		"through two":                   {"10.0.0.1:80", []string{"198.51.100.2, 192.0.2.7"}, "198.51.100.2"},
		"each in a header of its own":   {"10.0.0.1:80", []string{"198.51.100.3", "192.0.2.7"}, "198.51.100.3"},
		"forged in front":               {"10.0.0.1:80", []string{"127.0.0.1, 10.9.9.9, 198.51.100.4"}, "198.51.100.4"},
		"forged in a header of its own": {"10.0.0.1:80", []string{"127.0.0.1", "198.51.100.5"}, "198.51.100.5"},
		"by nobody who is trusted":      {"198.51.100.6:80", []string{"127.0.0.1"}, "198.51.100.6"},
		"by a neighbour of a proxy":     {"192.0.2.8:80", []string{"127.0.0.1"}, "192.0.2.8"},
		"all proxies":                   {"10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"no address":                    {"10.0.0.1:80", []string{"unknown"}, "10.0.0.1"},
		"no address in between":         {"10.0.0.1:80", []string{"127.0.0.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		"nothing":                       {"10.0.0.1:80", []string{"", " , "}, "10.0.0.1"},
		"script":                        {"10.0.0.1:80", []string{"<script>"}, "10.0.0.1"},
		"with a port":                   {"10.0.0.1:80", []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"IPv6":                          {"[2001:db8::1]:80", []string{"2001:db8:1::5"}, "2001:db8:1::5"},
		"IPv6 with a port":              {"[2001:db8::1]:80", []string{"[2001:db8:1::6]:4711"}, "2001:db8:1::6"},
		"IPv6 in brackets":              {"[2001:db8::1]:80", []string{"[2001:db8:1::7]"}, "2001:db8:1::7"},
		"IPv4 in IPv6":                  {"[::ffff:10.0.0.1]:80", []string{"::ffff:198.51.100.8"}, "198.51.100.8"},
	} {
		if got := from(behind, c.remote, c.headers...); got != c.want {
			t.Errorf("%s: from %s, want %s", name, got, c.want)
		}
		if got, _ := netip.ParseAddrPort(c.remote); from(open, c.remote, c.headers...) != got.Addr().Unmap().String() {
			t.Errorf("%s: believed without a proxy", name)
		}
	}
}

// TestForwardedThrottle: behind a proxy, wrong passwords of one address make that
// wait, no other, and no header that the client sends gets it out of there.
func TestForwardedThrottle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := server.New(f.catalog, f.scheduler, f.plugins, nil, server.Options{Token: token, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	login := func(name string, client string) int {
		req := httptest.NewRequest("POST", "/v1/session", strings.NewReader(`{"name":"`+name+`","password":"x"}`))
		req.RemoteAddr = "10.0.0.1:80"
		req.Header.Set("X-Forwarded-For", client)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		return w.Code
	}
	throttled := false
	for n := range 40 { // a slow host needs longer for a try than the first waits are
		throttled = throttled || login("ann", "203.0.113."+string(rune('0'+n%10))+", 198.51.100.1") == 429
	}
	if !throttled {
		t.Error("who forges the header does not wait")
	}
	if got := login("bob", "198.51.100.2"); got != 401 {
		t.Errorf("another address: %d", got)
	}
}
