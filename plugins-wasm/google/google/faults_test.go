package google_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/storefault"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/google/google"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

func uploads(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/upload/") }

// isPart matches what goes to a session but its end.
func isPart(r *http.Request) bool {
	return uploads(r) && r.Method == http.MethodPut && strings.HasSuffix(r.Header.Get("Content-Range"), "/*")
}

func isCommit(r *http.Request) bool {
	return uploads(r) && r.Method == http.MethodPut && !isPart(r)
}

func hasType(kind string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return uploads(r) && r.Method == http.MethodPost && r.URL.Query().Get("uploadType") == kind
	}
}

func subject(o plugin.Opener) *resttest.Subject {
	return &resttest.Subject{
		Opener: o,
		New: func(t testing.TB) *resttest.Place {
			s := newService(t)
			return &resttest.Place{
				URL:      s.URL,
				Endpoint: func(at string) shield.Endpoint { return s.endpoint(t, at) },
				Left:     s.left,
			}
		},
		Begin: hasType("resumable"), Part: isPart, Commit: isCommit, Single: hasType("multipart"),
		Size: 2<<20 + 1000,
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	subject(google.Plugin()).Run(t)
}

// faults returns what the table of faults needs to know.
func faults(t *testing.T, o plugin.Opener) storefault.Config {
	s, authority := newService(t), faultproxy.NewAuthority(t)
	endpoint := func(t testing.TB, at, prefix string, more ...any) shield.Endpoint {
		return s.endpoint(t, at, append([]any{"prefix", prefix, "stall_timeout", "5s", "ca", authority.PEM}, more...)...)
	}
	return storefault.Config{
		Plugin: o, Upstream: s.URL, Authority: authority, Says: bucket, Resumes: true,
		Endpoint: func(t testing.TB, at, prefix string) shield.Endpoint { return endpoint(t, at, prefix) },
		Left: func(_ testing.TB, prefix string) []string {
			return slices.DeleteFunc(s.left(), func(name string) bool { return !strings.Contains(name, prefix) })
		},
		Download: func(r *http.Request) bool { return r.URL.Query().Get("alt") == "media" },
		Remove:   func(r *http.Request) bool { return r.Method == http.MethodDelete && !uploads(r) },
		Answer:   answer,
		Lie: func(stage string) faultproxy.Answer {
			switch stage {
			case "chunk":
				return faultproxy.Answer{Status: 308, Header: http.Header{"Range": {"bytes=0-1048575"}}}
			case "remove":
				return faultproxy.Answer{Status: 204}
			}
			return faultproxy.Answer{Status: 200, Body: `{"kind": "storage#object"}`}
		},
		Broken: map[string]storefault.Broken{
			"no bucket": {Code: shield.Invalid, Says: "does not exist", Endpoint: func(t testing.TB, at, prefix string) shield.Endpoint {
				return endpoint(t, at, prefix, "bucket", bucket+"-not")
			}},
			"no such host": {Code: shield.Unavailable, Says: "nothing.invalid", Endpoint: func(t testing.TB, _, prefix string) shield.Endpoint {
				return endpoint(t, "https://nothing.invalid", prefix)
			}},
		},
	}
}

// answer is what the service says about an error.
// https://cloud.google.com/storage/docs/json_api/v1/status-codes
func answer(e storefault.Error) faultproxy.Answer {
	say := func(status int, reason string) faultproxy.Answer {
		return faultproxy.Answer{
			Status: status, Header: http.Header{"Content-Type": {"application/json"}},
			Body: fmt.Sprintf(`{"error": {"code": %d, "message": "words of the service", "errors": [{"reason": %q}]}}`, status, reason),
		}
	}
	switch e {
	case storefault.Denied:
		return say(403, "forbidden")
	case storefault.ClockSkew:
		a := say(401, "authError")
		a.Header.Set("Date", time.Now().Add(-20*time.Minute).UTC().Format(http.TimeFormat))
		return a
	case storefault.Expired:
		return say(401, "authError")
	case storefault.Internal:
		return say(500, "backendError")
	case storefault.TooMany:
		return say(429, "rateLimitExceeded")
	}
	return say(503, "backendError")
}

func TestFaults(t *testing.T) {
	t.Parallel()
	large := faults(t, google.Plugin())
	large.Size = 2<<20 + 1000
	large.Stages = map[string]storefault.Stage{
		"begin": {Match: hasType("resumable")}, "chunk": {Match: isPart, Body: 1 << 20}, "finish": {Match: isCommit},
	}
	t.Run("large", func(t *testing.T) { storefault.Run(t, large) })
	small := faults(t, google.Plugin())
	small.Size = 200_000
	small.Broken = nil
	small.Stages = map[string]storefault.Stage{"insert": {Match: hasType("multipart")}}
	t.Run("small", func(t *testing.T) { storefault.Run(t, small) })
}

// TestDamage: what changed on its way is sent again, or refused; what changed
// on its way back is not taken.
func TestDamage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := faultproxy.StartHTTP(t, s.URL, nil)
	st := open(t, s.endpoint(t, p.URL))
	p.Set(faultproxy.Rule{Match: hasType("multipart"), Times: 1, Fault: faultproxy.FlipRequest(900)})
	roundTrip(t, st, 1000)
	if p.Hits() != 1 {
		t.Errorf("%d hits", p.Hits())
	}
	p.Set(faultproxy.Rule{Match: hasType("multipart"), Fault: faultproxy.FlipRequest(900)})
	_, err := st.Put(t.Context(), "k", plugintest.Stream(1000, 1))
	wantCode(t, err, shield.Corrupt, "changed on their way")
	p.Set(faultproxy.Rule{Match: isPart, Times: 1, Fault: faultproxy.FlipRequest(900)})
	_, err = st.Put(t.Context(), "k", plugintest.Stream(3<<20, 1))
	wantCode(t, err, shield.Corrupt, "CRC32C")
	if left := s.left(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	p.Set()
	if _, err := st.Put(t.Context(), "k", plugintest.Stream(1000, 1)); err != nil {
		t.Fatal(err)
	}
	p.Set(faultproxy.Rule{Match: func(r *http.Request) bool { return r.Method == http.MethodGet }, Fault: faultproxy.FlipResponse(900)})
	r, err := st.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r)
	_ = r.Close()
	wantCode(t, err, shield.Corrupt, "checksum")
}

// TestNoToken: what is wrong with tokens is said.
func TestNoToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer faultproxy.Answer
		code   shield.Code
		says   string
	}{
		"wrong key":  {faultproxy.Answer{Status: 400, Body: `{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}`}, shield.Unauthorized, "Invalid JWT Signature"},
		"clock skew": {faultproxy.Answer{Status: 400, Header: http.Header{"Date": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, Body: `{"error": "invalid_grant"}`}, shield.Unauthorized, "the clock of this host is"},
		"503":        {faultproxy.Answer{Status: 503}, shield.Unavailable, "503"},
		"nonsense":   {faultproxy.Answer{Status: 200, Body: "<html>"}, shield.StoreFailed, "no access_token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			p := faultproxy.StartHTTP(t, s.URL, nil)
			p.Set(faultproxy.Rule{Fault: faultproxy.Say(c.answer)})
			st := open(t, s.endpoint(t, s.URL, "token_url", p.URL+"/token", "json_key", s.jsonKey(t, p.URL+"/token")))
			_, err := st.Put(t.Context(), "k", strings.NewReader("x"))
			wantCode(t, err, c.code, "google.put", p.URL, c.says)
		})
	}
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	o := shieldtest.Sandboxed(t, "google")
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		s, g := newService(t), emulator(t)
		plugintest.Run(t, o, plugintest.Config{StoreEndpoint: s.endpoint(t, g.URL)})
	})
	x := subject(o)
	x.Killed = true
	x.Run(t)
}

func TestStory(t *testing.T) {
	t.Parallel()
	s, g := newService(t), emulator(t)
	resttest.Story(t, "google", s.endpoint(t, g.URL, "prefix", "shield"))
}

func TestLockedStory(t *testing.T) {
	t.Parallel()
	s := newService(t)
	resttest.LockedStory(t, "google", s.endpoint(t, s.URL, "retention_mode", "locked"))
}

// TestSessionOfStoppedGuest: the host cancels the session of a guest that it
// has stopped.
func TestSessionOfStoppedGuest(t *testing.T) {
	t.Parallel()
	s := newService(t)
	st, err := shieldtest.Sandboxed(t, "google").OpenStore(t.Context(), s.endpoint(t, s.URL), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := io.MultiReader(plugintest.Stream(5<<20, 1), readerFunc(func([]byte) (int, error) {
		for len(s.left()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		return 0, context.Cause(ctx)
	}))
	if _, err := st.Put(ctx, "k", r); err == nil {
		t.Error("put that was canceled returned no error")
	}
	if left := s.left(); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	if s.canceled != 1 {
		t.Errorf("%d sessions were canceled, want 1", s.canceled)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
