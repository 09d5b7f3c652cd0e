package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// A recorder is a target and store plugin that remembers the endpoints that
// it was opened with.
type recorder struct {
	*plugintest.Memory
	mu   sync.Mutex
	seen []string
}

func (r *recorder) Info(ctx context.Context) (plugin.Info, error) {
	i, err := r.Memory.Info(ctx)
	i.Fields = append(i.Fields,
		plugin.Field{Mode: plugin.RoleBoth, Name: "url", Type: plugin.TypeString},
		plugin.Field{Mode: plugin.RoleBoth, Name: "pin", Type: plugin.TypeInteger, Secret: true})
	return i, err
}

func (r *recorder) see(e shield.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, string(e))
}

func (r *recorder) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) == 0 {
		return ""
	}
	return r.seen[len(r.seen)-1]
}

func (r *recorder) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	r.see(e)
	return r.Memory.OpenTarget(ctx, e, log)
}

// OpenStore opens a store whose Put fails in words that quote nothing.
func (r *recorder) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	r.see(e)
	s, err := r.Memory.OpenStore(ctx, e, log)
	return putFails{s}, err
}

type putFails struct{ plugin.Store }

func (putFails) Put(context.Context, string, io.Reader) (plugin.Stored, error) {
	return plugin.Stored{}, shield.Errorf(shield.StoreFailed, "", "no room")
}

func newRecorder(f *fixture) *recorder {
	r := &recorder{Memory: plugintest.NewMemory()}
	f.register("recorder", r)
	return r
}

const secretBody = `{"name":"s","plugin":"recorder","endpoint":{"name":"x","url":"http://h/?a=1&b=<2>","password":"hunter2-\u00e9","pin":271828}}`

func secretsIn(text string) bool {
	return strings.Contains(text, "hunter2") || strings.Contains(text, "271828") || strings.Contains(text, "$sealed")
}

// opened runs a test of the store s and returns the endpoint that the plugin
// was opened with.
func opened(f *fixture, r *recorder) map[string]any {
	f.t.Helper()
	f.wait(f.client.TestStore(f.t.Context(), "s"))
	var m map[string]any
	f.must(json.Unmarshal([]byte(r.last()), &m))
	return m
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := newRecorder(f)
	f.setUp("a")
	answers := []answer{
		f.do("POST", "/v1/stores", secretBody), f.do("POST", "/v1/targets", secretBody),
		f.do("POST", "/v1/stores", secretBody), // Conflict
		f.do("POST", "/v1/stores", strings.Replace(secretBody, `"name":"x"`, `"name":5`, 1)),
		f.do("POST", "/v1/stores", strings.Replace(secretBody, `271828`, `"pin 271828"`, 1)),
		f.do("POST", "/v1/stores", strings.Replace(secretBody, `"hunter2-\u00e9"`, `["hunter2"]`, 1)),
		f.do("POST", "/v1/stores", strings.Replace(secretBody, `}}`, `}`, 1)),
		f.do("POST", "/v1/jobs", `{"name":"s","target":"s","store":"s","schedule":"a","retention_policy":"a"}`),
	}
	if got := opened(f, r); got["password"] != "hunter2-é" || got["pin"] != 271828.0 {
		t.Fatalf("the plugin was opened with %v", got)
	}
	r.SetTarget("x", []byte("content"))
	end := f.wait(f.client.RunJob(t.Context(), "s"))
	if end.Status != shield.TaskFailed {
		t.Errorf("backup %s", end.Status)
	}
	for _, path := range []string{
		"/v1/stores", "/v1/stores/s", "/v1/targets", "/v1/targets/s", "/v1/jobs/s", "/v1/tasks", "/v1/tasks/" + end.UUID,
		"/v1/tasks/" + end.UUID + "/follow", "/v1/status", "/v1/events", "/v1/runs", "/v1/plugins", "/v1/plugins/recorder",
	} {
		answers = append(answers, f.do("GET", path, ""))
	}
	answers = append(answers, f.do("PATCH", "/v1/stores/s", `{"summary":"x"}`), f.do("POST", "/v1/jobs/s/run", ""))
	for _, a := range answers {
		if secretsIn(a.body) {
			t.Errorf("a secret is shown: %s", a.body)
		}
	}
	if a := f.do("GET", "/v1/stores/s", ""); !strings.Contains(a.body, `"password":"********"`) || !strings.Contains(a.body, `"pin":"********"`) {
		t.Errorf("the secrets are not redacted: %s", a.body)
	}
	kept := f.stored()
	if strings.Contains(kept, "hunter2") || strings.Contains(kept, "271828") {
		t.Error("a secret is in the clear in the catalog's files")
	}
	if !strings.Contains(kept, "$sealed") {
		t.Error("the catalog's files have no sealed field: this test looks at the wrong place")
	}
	if strings.Contains(f.log.String(), "hunter2") {
		t.Error("a secret is in the log")
	}
}

func TestSecretsInEdits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := newRecorder(f)
	f.do("POST", "/v1/stores", secretBody)
	for _, c := range []struct {
		name, patch string
		password    any
		pin         any
	}{
		{"another field", `{"summary":"x"}`, "hunter2-é", 271828.0},
		{"kept", `{"endpoint":{"name":"y","password":"********","pin":"********"}}`, "hunter2-é", 271828.0},
		{"one dropped", `{"endpoint":{"name":"y","password":"********"}}`, "hunter2-é", nil},
		{"new value", `{"endpoint":{"name":"y","password":"hunter2-new"}}`, "hunter2-new", nil},
		{"added", `{"endpoint":{"name":"y","password":"********","pin":3}}`, "hunter2-new", 3.0},
		{"renamed", `{"name":"s2"}`, "hunter2-new", 3.0},
		{"renamed back", `{"name":"s"}`, "hunter2-new", 3.0},
	} {
		ref := "s"
		if c.name == "renamed back" {
			ref = "s2"
		}
		a := f.do("PATCH", "/v1/stores/"+ref, c.patch)
		if a.status != 200 || secretsIn(a.body) {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		if c.name == "renamed" {
			continue
		}
		if got := opened(f, r); got["password"] != c.password || got["pin"] != c.pin {
			t.Errorf("%s: opened with %v", c.name, got)
		}
	}
	// What was read can be sent back whole.
	a := f.do("GET", "/v1/stores/s", "")
	if a := f.do("PATCH", "/v1/stores/s", a.body); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := opened(f, r); got["password"] != "hunter2-new" {
		t.Errorf("opened with %v", got)
	}
	if strings.Contains(f.stored(), "hunter2") {
		t.Error("a secret is in the clear in the catalog's files")
	}
}

func TestRedactedIsNoSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	newRecorder(f)
	redacted := `{"name":"s","plugin":"recorder","endpoint":{"name":"x","password":"********"}}`
	if p := f.refused(f.do("POST", "/v1/stores", redacted)); p.Field != "endpoint.password" || p.Status != 400 {
		t.Errorf("create: %+v", p)
	}
	f.do("POST", "/v1/stores", secretBody)
	for _, patch := range []string{
		`{"plugin":"memory"}`, // the secrets of one plugin are not for another
		`{"plugin":"memory","endpoint":{"name":"x","password":"********"}}`,
	} {
		if p := f.refused(f.do("PATCH", "/v1/stores/s", patch)); !strings.HasPrefix(p.Field, "endpoint.") || p.Status != 400 {
			t.Errorf("%s: %+v", patch, p)
		}
	}
	if p := f.refused(f.do("PATCH", "/v1/stores/s", `{"endpoint":{"name":"x","password":{"$sealed":"a:b"}}}`)); p.Status != 400 {
		t.Errorf("a sealed field from outside: %+v", p)
	}
	f.do("PATCH", "/v1/stores/s", `{"endpoint":{"name":"x"}}`)
	if p := f.refused(f.do("PATCH", "/v1/stores/s", `{"endpoint":{"name":"x","password":"********"}}`)); p.Field != "endpoint.password" {
		t.Errorf("nothing to keep: %+v", p)
	}
	if a := f.do("PATCH", "/v1/stores/s", `{"plugin":"memory"}`); a.status != 200 {
		t.Errorf("without secrets: %d %s", a.status, a.body)
	}
}

// TestEditWithoutItsPlugin: what a plugin has to say does not matter to an
// edit that leaves plugin and endpoint as they are.
func TestEditWithoutItsPlugin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.must(f.catalog.CreateTarget(t.Context(), &shield.Target{
		Meta: shield.Meta{Name: "a"}, Plugin: "gone", Endpoint: shield.Endpoint(`{ "b": "<&>", "a": 1 }`),
	}))
	before, err := f.client.Targets().Get(t.Context(), "a")
	f.must(err)
	after, err := f.client.Targets().Edit(t.Context(), "a", map[string]any{"name": "b"})
	if err != nil || string(after.Endpoint) != string(before.Endpoint) {
		t.Errorf("%+v, %v", after, err)
	}
	_, err = f.client.Targets().Edit(t.Context(), "b", map[string]any{"endpoint": map[string]any{}})
	want(t, err, shield.Invalid, "plugin", "is unknown")
	if all, err := f.client.Targets().List(t.Context(), url.Values{"plugin": {"gone"}}); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}
