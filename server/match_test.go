package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

// ifMatch sends a request that holds for some versions only.
func (f *fixture) ifMatch(method, path, tag, body string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	f.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/merge-patch+json")
	req.Header.Set("If-Match", tag)
	return f.send(req)
}

// TestIfMatch has two edit one version of each kind of thing: the second gets
// 412, and nothing is changed or deleted by it.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	for _, n := range nouns {
		t.Run(n.path, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.setUp("z")
			if a := f.do("POST", n.path, n.body); a.header.Get("ETag") != `"1"` {
				t.Errorf("a new one has the ETag %s", a.header.Get("ETag"))
			}
			path := n.path + "/a"
			first := f.ifMatch("PATCH", path, `"1"`, `{"summary":"first"}`)
			if first.status != 200 || first.header.Get("ETag") != `"2"` {
				t.Fatalf("the first: %d %s", first.status, first.body)
			}
			for _, method := range []string{"PATCH", "PUT", "DELETE"} {
				for _, tag := range []string{`"1"`, `"1", "3"`, `W/"2"`, `2`, `"02"`, `""`} {
					p := f.refused(f.ifMatch(method, path, tag, n.body))
					if p.Status != 412 || p.Code != "conflict" || p.Field != "If-Match" || !strings.Contains(p.Detail, `"2"`) {
						t.Errorf("%s with %s: %+v", method, tag, p)
					}
				}
			}
			if a := f.do("GET", path, ""); settled(a) != settled(first) || a.header.Get("ETag") != `"2"` {
				t.Errorf("it was changed: %s", a.body)
			}
			if a := f.ifMatch("PATCH", path, `"1", "2"`, `{"summary":"next"}`); a.status != 200 || a.header.Get("ETag") != `"3"` {
				t.Errorf("with one of two: %d %s", a.status, a.body)
			}
			if a := f.ifMatch("DELETE", path, "*", ""); a.status != 204 {
				t.Errorf("delete: %d %s", a.status, a.body)
			}
			if p := f.refused(f.ifMatch("DELETE", path, "*", "")); p.Status != 404 {
				t.Errorf("delete of what is gone: %+v", p)
			}
		})
	}
}

// TestPut replaces each kind of thing: what the body leaves out is as of a new
// one.
func TestPut(t *testing.T) {
	t.Parallel()
	for _, n := range nouns {
		t.Run(n.path, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.setUp("z")
			made, path := f.do("POST", n.path, n.body), n.path+"/a"
			f.do("PATCH", path, `{"summary":"to be forgotten"}`)
			a := f.do("PUT", path, n.body)
			if a.status != 200 || timeless(a) != strings.Replace(timeless(made), `"version":1`, `"version":3`, 1) {
				t.Errorf("%d %s\nwant %s", a.status, timeless(a), timeless(made))
			}
			if again := f.do("PUT", path, a.body); again.status != 200 {
				t.Errorf("what was read is refused: %s", again.body)
			}
			for body, field := range map[string]string{
				`{}`: "name", `{"name":"a","colour":"red"}`: "colour", `{"name":"a","uuid":"x"}`: "uuid", `null`: "", `[]`: "", ``: "",
			} {
				p := f.refused(f.do("PUT", path, body))
				if p.Status != 400 || (p.Field != field && body != `{}`) {
					t.Errorf("PUT %s: %+v", body, p)
				}
			}
			if p := f.refused(f.do("PUT", path, strings.Replace(n.body, "{", `{"version":2,`, 1))); p.Status != 409 || p.Field != "version" {
				t.Errorf("stale: %+v", p)
			}
			if p := f.refused(f.do("PUT", n.path+"/nope", n.body)); p.Status != 404 {
				t.Errorf("of what is not there: %+v", p)
			}
		})
	}
}

// timeless is an answer without its times.
func timeless(a answer) string {
	var v map[string]any
	_ = json.Unmarshal([]byte(a.body), &v)
	delete(v, "updated_at")
	delete(v, "next_due")
	return text(v)
}

// TestPutJob replaces what a job refers to, by name or UUID.
func TestPutJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	b, err := f.client.Targets().Get(t.Context(), "b")
	f.must(err)
	for body, target := range map[string]string{
		`{"name":"a","target":"b","store":"a","schedule":"a","retention_policy":"a"}`:                   "b",
		`{"name":"a","target_uuid":"` + b.UUID + `","store":"a","schedule":"a","retention_policy":"a"}`: "b",
		`{"name":"a","target_uuid":"a","store_uuid":"a","schedule_uuid":"a","retention_uuid":"a"}`:      "a",
		`{"name":"a","target":"a","store":"b","schedule":"b","retention_policy":"b","priority":7}`:      "a",
	} {
		a := f.do("PUT", "/v1/jobs/a", body)
		var j shield.Job
		f.must(json.Unmarshal([]byte(a.body), &j))
		if a.status != 200 || j.TargetName != target || j.Priority == 0 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	for _, missing := range []string{"target", "store", "schedule", "retention_policy"} {
		body := map[string]string{"name": "a", "target": "a", "store": "a", "schedule": "a", "retention_policy": "a"}
		delete(body, missing)
		if p := f.refused(f.do("PUT", "/v1/jobs/a", text(body))); p.Status != 400 || p.Field != missing {
			t.Errorf("without %s: %+v", missing, p)
		}
	}
}

// TestReplace: the client's Replace is refused once the version is not that of
// what it sends, and keeps secrets that it was shown.
func TestReplace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	_, err := f.client.Targets().Create(ctx, &shield.Target{
		Meta: shield.Meta{Name: "a"}, Plugin: "memory", Endpoint: shield.Endpoint(`{"name":"x","password":"hunter2"}`),
	})
	f.must(err)
	one, err := f.client.Targets().Get(ctx, "a")
	f.must(err)
	one.Summary = "changed"
	two, err := f.client.Targets().Replace(ctx, "a", one)
	if err != nil || two.Summary != "changed" || two.Version != 2 || string(two.Endpoint) != string(one.Endpoint) {
		t.Errorf("%+v, %v", two, err)
	}
	_, err = f.client.Targets().Replace(ctx, "a", one)
	want(t, err, shield.Conflict, "version", "was changed meanwhile")
	if strings.Contains(f.stored(), "hunter2") {
		t.Error("the catalog has the secret")
	}
}

// TestIfMatchOfOthers: what is not made through the API in all its fields has
// versions, too, and changes of an old one change nothing.
func TestIfMatchOfOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	archive := "/v1/archives/" + f.backup("a").UUID
	var made struct{ UUID string }
	f.must(json.Unmarshal([]byte(f.do("POST", "/v1/tokens", `{"name":"t"}`).body), &made))
	tokens := "/v1/tokens/" + made.UUID
	for _, c := range []struct{ thing, method, path, body string }{
		{archive, "PATCH", archive, `{"notes":"x"}`},
		{archive, "POST", archive + "/hold", ""},
		{archive, "POST", archive + "/release", ""},
		{archive, "POST", archive + "/acknowledge", `{"note":"x"}`},
		{tokens, "PATCH", tokens, `{"summary":"x"}`},
		{"/v1/jobs/a", "POST", "/v1/jobs/a/pause", ""},
		{"/v1/jobs/a", "POST", "/v1/jobs/a/unpause", ""},
		{archive, "DELETE", archive, ""},
		{tokens, "DELETE", tokens, ""},
	} {
		before := f.do("GET", c.thing, "")
		tag := before.header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no ETag", c.thing)
		}
		for _, stale := range []string{`"77"`, "W/" + tag, strings.Trim(tag, `"`)} {
			if p := f.refused(f.ifMatch(c.method, c.path, stale, c.body)); p.Status != 412 || p.Field != "If-Match" || !strings.Contains(p.Detail, tag) {
				t.Errorf("%s %s with %s: %+v", c.method, c.path, stale, p)
			}
		}
		if after := f.do("GET", c.thing, ""); after.header.Get("ETag") != tag || settled(after) != settled(before) {
			t.Errorf("%s %s has changed it to %s", c.method, c.path, after.body)
		}
		switch a := f.ifMatch(c.method, c.path, tag, c.body); {
		case strings.HasSuffix(c.path, "/acknowledge"):
			if p := f.refused(a); p.Status != 409 { // it is not suspicious
				t.Errorf("%s: %+v", c.path, p)
			}
		case a.status >= 300 || c.method != "DELETE" && a.header.Get("ETag") == tag:
			t.Errorf("%s %s with %s: %d, ETag %s, %s", c.method, c.path, tag, a.status, a.header.Get("ETag"), a.body)
		}
	}
}

// TestArchiveEditsRace has many change one version of an archive: one does, the
// others get 412.
func TestArchiveEditsRace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	path := "/v1/archives/" + f.backup("a").UUID
	tag := f.do("GET", path, "").header.Get("ETag")
	statuses := make(chan int, 8)
	for n := range cap(statuses) {
		go func() { statuses <- f.ifMatch("PATCH", path, tag, fmt.Sprintf(`{"notes":"%d"}`, n)).status }()
	}
	got := map[int]int{}
	for range cap(statuses) {
		got[<-statuses]++
	}
	if got[200] != 1 || got[412] != cap(statuses)-1 {
		t.Errorf("they got %v", got)
	}
}
