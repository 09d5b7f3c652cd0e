package azure_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/storefault"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

func hasComp(method, comp string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && r.URL.Query().Get("comp") == comp }
}

// isCommit matches the commit of blocks, and not that of none of them, which
// cleans up.
func isCommit(r *http.Request) bool {
	return hasComp(http.MethodPut, "blocklist")(r) && r.ContentLength > 100
}

func isBlock(r *http.Request) bool { return hasComp(http.MethodPut, "block")(r) }
func isWrite(r *http.Request) bool { return hasComp(http.MethodPut, "")(r) }

func subject(o plugin.Opener, s *server) *resttest.Subject {
	return &resttest.Subject{
		Opener: o,
		New: func(t testing.TB) *resttest.Place {
			container := s.container(t)
			return &resttest.Place{
				URL:      s.origin(),
				Endpoint: func(at string) shield.Endpoint { return s.endpoint(t, at, container) },
				Left:     func() []string { return s.left(t, container, "") },
			}
		},
		Begin: hasComp(http.MethodHead, ""), Part: isBlock, Commit: isCommit, Single: isWrite,
		Size: 2<<20 + 1000,
	}
}

func testStopped(t *testing.T, s *server) { subject(azure.Plugin(), s).Run(t) }

// faults returns what the table of faults needs to know.
func faults(t *testing.T, o plugin.Opener, s *server, authority *faultproxy.Authority) storefault.Config {
	container := s.container(t)
	endpoint := func(t testing.TB, at, prefix string, more ...any) shield.Endpoint {
		return s.endpoint(t, at, container, append([]any{"prefix", prefix, "stall_timeout", "5s", "ca", authority.PEM}, more...)...)
	}
	return storefault.Config{
		Plugin: o, Upstream: s.origin(), Authority: authority, Says: container, Resumes: true,
		Endpoint: func(t testing.TB, at, prefix string) shield.Endpoint { return endpoint(t, at, prefix) },
		Left:     func(t testing.TB, prefix string) []string { return s.left(t, container, prefix) },
		Download: func(r *http.Request) bool { return isDownload(r) },
		Remove:   func(r *http.Request) bool { return r.Method == http.MethodDelete },
		Answer:   answer,
		Lie: func(stage string) faultproxy.Answer {
			if stage == "remove" {
				return faultproxy.Answer{Status: http.StatusAccepted}
			}
			return faultproxy.Answer{Status: http.StatusCreated}
		},
		Broken: map[string]storefault.Broken{
			"no container": {Code: shield.Invalid, Says: "does not exist: make it", Endpoint: func(t testing.TB, at, prefix string) shield.Endpoint {
				return endpoint(t, at, prefix, "container", container+"-not")
			}},
			"wrong key": {Code: shield.Unauthorized, Says: "key", Endpoint: func(t testing.TB, at, prefix string) shield.Endpoint {
				return endpoint(t, at, prefix, "key", "d3Jvbmc=")
			}},
			"no such host": {Code: shield.Unavailable, Says: "nothing.invalid", Endpoint: func(t testing.TB, _, prefix string) shield.Endpoint {
				return endpoint(t, "https://nothing.invalid", prefix)
			}},
		},
	}
}

func isDownload(r *http.Request) bool {
	return hasComp(http.MethodGet, "")(r) && !r.URL.Query().Has("restype")
}

// answer is what the service says about an error.
// https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
func answer(e storefault.Error) faultproxy.Answer {
	say := func(status int, code, detail string) faultproxy.Answer {
		return faultproxy.Answer{
			Status: status, Header: http.Header{"Content-Type": {"application/xml"}, "X-Ms-Error-Code": {code}},
			Body: "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>" + code + "</Code><Message>Words of the service.\nRequestId:1</Message>" + detail + "</Error>",
		}
	}
	switch e {
	case storefault.Denied:
		return say(403, "AuthorizationPermissionMismatch", "")
	case storefault.ClockSkew:
		a := say(403, "AuthenticationFailed", "")
		a.Header.Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
		return a
	case storefault.Expired:
		return say(403, "AuthenticationFailed", "<AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [] - Expiry []</AuthenticationErrorDetail>")
	case storefault.Internal:
		return say(500, "InternalError", "")
	case storefault.TooMany:
		return say(429, "TooManyRequests", "")
	}
	return say(503, "ServerBusy", "")
}

func testFaults(t *testing.T, s *server) {
	authority := faultproxy.NewAuthority(t)
	large := faults(t, azure.Plugin(), s, authority)
	large.Size = 2<<20 + 200_000
	large.Stages = map[string]storefault.Stage{"block": {Match: isBlock, Body: 200_000, Compared: true}, "commit": {Match: isCommit}}
	t.Run("large", func(t *testing.T) { storefault.Run(t, large) })
	small := faults(t, azure.Plugin(), s, authority)
	small.Size = 200_000
	small.Broken = nil
	small.Stages = map[string]storefault.Stage{"write": {Match: isWrite}}
	t.Run("small", func(t *testing.T) { storefault.Run(t, small) })
}

// testDamage: what changed on its way is sent again, or refused; what changed
// on its way back is not taken.
func testDamage(t *testing.T, s *server) {
	container := s.container(t)
	p := faultproxy.StartHTTP(t, s.origin(), nil)
	st := open(t, s.endpoint(t, p.URL, container))
	p.Set(faultproxy.Rule{Match: isWrite, Times: 1, Fault: faultproxy.FlipRequest(100)})
	roundTrip(t, st, 1000)
	if p.Hits() != 1 {
		t.Errorf("%d hits", p.Hits())
	}
	p.Set(faultproxy.Rule{Match: isWrite, Fault: faultproxy.FlipRequest(100)})
	_, err := st.Put(t.Context(), "k", plugintest.Stream(1000, 1))
	wantCode(t, err, shield.Corrupt, "changed on their way")
	p.Set()
	for name, size := range map[string]int64{"small": 1000, "large": 3 << 20} {
		if _, err := st.Put(t.Context(), name, plugintest.Stream(size, 1)); err != nil {
			t.Fatal(err)
		}
		p.Set(faultproxy.Rule{Match: isDownload, Fault: faultproxy.FlipResponse(900)})
		r, err := st.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, r)
		_ = r.Close()
		wantCode(t, err, shield.Corrupt, "checksum")
		p.Set()
	}
	if left := s.left(t, container, "k"); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}
