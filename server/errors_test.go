package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/server"
)

// brokenPlugin fails with an error that is not for clients.
type brokenPlugin struct{ plugin.Opener }

func (brokenPlugin) Info(context.Context) (plugin.Info, error) {
	return plugin.Info{}, errors.New("the cause with s3cret")
}

// failing is a registry that fails with one error, or panics.
type failing struct{ err error }

func (f failing) Names() []string { return []string{"x"} }
func (f failing) Info(context.Context, string) (plugin.Info, error) {
	if f.err == nil {
		panic("the cause with s3cret")
	}
	return plugin.Info{}, f.err
}
func (f failing) Resolve(context.Context, string, plugin.Role, shield.Endpoint) (shield.Endpoint, error) {
	return nil, f.err
}

func TestCodes(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause with s3cret")
	for code, status := range map[shield.Code]int{
		shield.Invalid: 400, shield.NotFound: 404, shield.Conflict: 409, shield.InUse: 409, shield.Unauthorized: 401,
		shield.Forbidden: 403, shield.Unavailable: 503, shield.Canceled: 409, shield.TimedOut: 504, shield.Corrupt: 502,
		shield.TargetFailed: 502, shield.StoreFailed: 502, shield.PluginFailed: 502, shield.Interrupted: 503, shield.Internal: 500,
	} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			f := &fixture{t: t, log: &logBuffer{}}
			plain := &shield.Error{Code: code, Op: "x.Y", Field: "endpoint.x", Message: "is wrong", Err: cause}
			f.serve(server.New(nilCatalog{}, nil, failing{fmt.Errorf("wrapped: %w", plain)}, nil, server.Options{Token: token}))
			a := f.do("GET", "/v1/plugins/x", "")
			p := f.refused(a)
			_, err := f.client.Plugin(t.Context(), "x")
			var e *shield.Error
			if a.status != status || p.Code != string(code) || !errors.As(err, &e) || e.Code != code {
				t.Errorf("%d %+v, client: %#v", a.status, p, err)
			}
			if strings.Contains(a.body, "s3cret") || strings.Contains(a.body, "x.Y") {
				t.Errorf("the answer tells too much: %s", a.body)
			}
			if code != shield.Internal {
				want(t, err, code, "endpoint.x", "is wrong")
			}
		})
	}
}

func TestInternalErrorsAreLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.register("broken", brokenPlugin{})
	a := f.do("POST", "/v1/targets", `{"name":"a","plugin":"broken","endpoint":{"password":"hunter2"}}`)
	if p := f.refused(a); a.status != 500 || p.Code != "internal" || strings.Contains(a.body, "s3cret") {
		t.Errorf("%+v", p)
	}
	if log := f.log.String(); !strings.Contains(log, "the cause") || strings.Contains(log, "hunter2") {
		t.Errorf("log: %s", log)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t, log: &logBuffer{}}
	f.serve(server.New(nilCatalog{}, nil, failing{}, nil, server.Options{Token: token}))
	if p := f.refused(f.do("GET", "/v1/plugins/x", "")); p.Status != 500 || strings.Contains(p.Detail, "s3cret") {
		t.Errorf("%+v", p)
	}
}

// nilCatalog is for tests that never reach it.
type nilCatalog struct{ shield.Catalog }

func (nilCatalog) Audit(context.Context, *shield.AuditEntry) error { return nil }

func TestToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, header := range map[string]string{
		"none": "", "empty": "Bearer ", "scheme only": "Bearer", "wrong": "Bearer shield_wrong", "basic": "Basic " + token,
		"bare": token, "longer": "Bearer " + token + "x", "shorter": "Bearer " + token[:10], "two": "Bearer x " + token,
	} {
		for _, path := range []string{"/v1/status", "/v1/targets", "/v1/targets/a"} {
			req, err := http.NewRequest("GET", f.url+path, http.NoBody)
			f.must(err)
			if header != "" {
				req.Header.Set("Authorization", header)
			}
			a := f.send(req)
			p := f.refused(a)
			if a.status != 401 || p.Code != "unauthorized" || a.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(a.body, token) {
				t.Errorf("%s %s: %d %s", name, path, a.status, a.body)
			}
		}
	}
	wrong, err := server.NewClient(f.url, "wrong")
	f.must(err)
	_, err = wrong.Status(t.Context())
	want(t, err, shield.Unauthorized, "", "Authorization")
	req, _ := http.NewRequest("GET", f.url+"/v1/status", http.NoBody)
	req.Header.Set("Authorization", "bearer "+token)
	if a := f.send(req); a.status != 200 {
		t.Errorf("the scheme in lower case: %d", a.status)
	}
	if a := f.send(httpGet(f.url + "/healthz")); a.status != 200 {
		t.Errorf("/healthz wants a token: %d", a.status)
	}
}

func httpGet(url string) *http.Request {
	req, _ := http.NewRequest("GET", url, http.NoBody)
	return req
}

// TestNoToken: a server that was given no token lets nobody in.
func TestNoToken(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t}
	f.serve(server.New(nilCatalog{}, nil, failing{}, nil, server.Options{}))
	req := httpGet(f.url + "/v1/plugins")
	req.Header.Set("Authorization", "Bearer ")
	if a := f.send(req); a.status != 401 {
		t.Errorf("%d", a.status)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	big := `{"name":"a","timespec":"` + strings.Repeat("x", 3<<20) + `"}`
	for _, c := range []struct{ name, body, field, text string }{
		{"empty", ``, "", "is empty"},
		{"space", `  `, "", "is empty"},
		{"cut", `{"name":"a"`, "", "not the JSON object"},
		{"not JSON", `name=a`, "", "not the JSON object"},
		{"list", `[]`, "", "an object is wanted"},
		{"text", `"a"`, "", "an object is wanted"},
		{"number", `5`, "", "an object is wanted"},
		{"unknown field", `{"name":"a","colour":"red"}`, "colour", "is not a field"},
		{"hostile field", `{"` + strings.Repeat("x", 100_000) + `":1}`, strings.Repeat("x", 100), "is not a field"},
		{"two objects", `{"name":"a","timespec":"daily 4:00"}{}`, "", "behind"},
		{"text behind", `{"name":"a","timespec":"daily 4:00"} x`, "", "behind"},
		{"wrong type", `{"name":"a","timespec":["daily 4:00"]}`, "timespec", "a JSON array: a string is wanted"},
		{"wrong type in what is common", `{"name":5}`, "name", "a JSON number: a string is wanted"},
		{"bad time", `{"name":"a","created_at":"yesterday"}`, "", "not the JSON object"},
		{"not UTF-8", "{\"name\":\"a\xff\",\"timespec\":\"daily 4:00\"}", "", "not valid UTF-8"},
		{"deep", strings.Repeat(`{"a":`, 20_000), "", ""},
		{"3 MiB", big, "", "more than 2097152 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := f.refused(f.do("POST", "/v1/schedules", c.body))
			if p.Status != 400 || p.Code != "invalid" || p.Field != c.field || !strings.Contains(p.Detail, c.text) || len(p.Detail) > 500 {
				t.Errorf("%+v", p)
			}
		})
	}
	if all, err := f.client.Schedules().List(t.Context(), nil); err != nil || len(all) > 0 {
		t.Errorf("made: %v, %v", all, err)
	}
}

func TestNewClient(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "x", "127.0.0.1:1", "ftp://x", "http://", "http://a b", ":"} {
		_, err := server.NewClient(base, token)
		want(t, err, shield.Invalid, "api", "http://127.0.0.1:7643")
	}
	for _, bad := range []shield.Secret{"a b", "a\nb", "ä", "\x00"} {
		_, err := server.NewClient("http://x", bad)
		want(t, err, shield.Invalid, "token", "characters")
	}
}

// TestOddDaemons: what answers is no daemon, or a broken one.
func TestOddDaemons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		handler    http.HandlerFunc
	}{
		{"page", "is no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }},
		{"cut", "cut off", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"release":"v`) }},
		{"empty", "cut off", func(http.ResponseWriter, *http.Request) {}},
		{"foreign error", "no shield daemon: it answered 403", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }},
		{"endless error", "no shield daemon", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
			}
		}},
		{"redirect", "points to https://elsewhere/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere/", http.StatusMovedPermanently)
		}},
		{"abort", "cannot be reached", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(c.handler)
			defer s.Close()
			client, err := server.NewClient(s.URL, token)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Status(t.Context())
			want(t, err, shield.Unavailable, "", c.text)
		})
	}
}

func TestDaemonGone(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	client, err := server.NewClient(s.URL, token)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Status(t.Context())
	want(t, err, shield.Unavailable, "", "cannot be reached")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Status(ctx)
	want(t, err, shield.Canceled, "", "canceled")
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = client.Status(ctx)
	want(t, err, shield.TimedOut, "", "in time")
}
