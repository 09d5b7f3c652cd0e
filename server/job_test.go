package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// TestJobFields: what a job says of its runs is checked, and what it has come
// to is told, and not taken.
func TestJobFields(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	for _, c := range []struct{ body, field, text string }{
		{`{"overlap":"both"}`, "overlap", "skip, queue or replace are allowed"},
		{`{"overlap":1}`, "overlap", "a string is wanted"},
		{`{"attempts":-1}`, "attempts", "1 to 100"},
		{`{"attempts":1000}`, "attempts", "1 to 100"},
		{`{"backoff":-1}`, "backoff", "negative"},
		{`{"backoff":86401}`, "backoff", "at most 86400"},
		{`{"rpo":-1}`, "rpo", "negative"},
		{`{"rpo":"26h"}`, "rpo", "a whole number is wanted"},
		{`{"idle_timeout":-1}`, "idle_timeout", "negative"},
	} {
		if p := f.refused(f.do("PATCH", "/v1/jobs/a", c.body)); p.Status != 400 || p.Field != c.field || !strings.Contains(p.Detail, c.text) {
			t.Errorf("%s: %+v", c.body, p)
		}
	}
	for _, path := range []string{"/v1/targets/a", "/v1/stores/a"} {
		if p := f.refused(f.do("PATCH", path, `{"max_tasks":-1}`)); p.Status != 400 || p.Field != "max_tasks" {
			t.Errorf("%s: %+v", path, p)
		}
		if a := f.do("PATCH", path, `{"max_tasks":3}`); a.status != 200 || !strings.Contains(a.body, `"max_tasks":3`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	job := func(body string) *shield.Job {
		t.Helper()
		a := f.do("PATCH", "/v1/jobs/a", body)
		j := new(shield.Job)
		if err := json.Unmarshal([]byte(a.body), j); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s", body, a.status, a.body)
		}
		return j
	}
	if j := job(`{"summary":"x"}`); j.Overlap != shield.OverlapSkip || j.Attempts != 0 || j.RPO != 0 || j.Breached {
		t.Errorf("a job that says nothing: %+v", j)
	}
	j := job(`{"rpo":3600,"overlap":"queue","attempts":4,"backoff":5,"idle_timeout":6,"breached":true,"last_success":"2020-01-01T00:00:00Z","next_due":"2020-01-01T00:00:00Z"}`)
	if j.RPO != 3600 || j.Overlap != "queue" || j.Attempts != 4 || j.Backoff != 5 || j.IdleTimeout != 6 {
		t.Errorf("got %+v", j)
	}
	if j.Breached || !j.LastSuccess.IsZero() || j.NextDue.Year() == 2020 {
		t.Errorf("a client can say what a job has come to: %+v", j)
	}
}

// TestStatusNamesBreaches: a job is in the status as long as it misses its
// objective.
func TestStatusNamesBreaches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	breached := func() []*shield.Job {
		t.Helper()
		var st server.Status
		if err := json.Unmarshal([]byte(f.do("GET", "/v1/status", "").body), &st); err != nil || st.Breached == nil {
			t.Fatalf("the status: %+v, %v", st, err)
		}
		return st.Breached
	}
	if jobs := breached(); len(jobs) > 0 {
		t.Errorf("%d jobs without an objective miss theirs", len(jobs))
	}
	if a := f.do("PATCH", "/v1/jobs/a", `{"rpo":1}`); a.status != 200 {
		t.Fatal(a.body)
	}
	for len(breached()) == 0 { // the job is a second old, or will be
	}
	if jobs := breached(); jobs[0].Name != "a" || !jobs[0].Breached || jobs[0].Overlap != shield.OverlapSkip {
		t.Errorf("got %+v", jobs[0])
	}
	f.do("PATCH", "/v1/jobs/a", `{"rpo":3600}`)
	if jobs := breached(); len(jobs) > 0 {
		t.Errorf("%d jobs within their objectives", len(jobs))
	}
}
