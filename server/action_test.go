package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

func TestPause(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	for _, c := range []struct {
		verb    string
		paused  bool
		version int64
	}{{"pause", true, 2}, {"pause", true, 2}, {"unpause", false, 3}, {"unpause", false, 3}} {
		a := f.do("POST", "/v1/jobs/a/"+c.verb, "")
		var j shield.Job
		f.must(json.Unmarshal([]byte(a.body), &j))
		if a.status != 200 || j.Paused != c.paused || j.Version != c.version || j.TargetName != "a" {
			t.Errorf("%s: %d %s", c.verb, a.status, a.body)
		}
		if p := f.refused(f.do("POST", "/v1/jobs/nope/"+c.verb, "")); p.Status != 404 {
			t.Errorf("%s of nothing: %+v", c.verb, p)
		}
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	path := "/v1/archives/" + a.UUID
	if a := f.do("POST", path+"/hold", ""); a.status != 200 || !strings.Contains(a.body, `"held":true`) {
		t.Errorf("hold: %d %s", a.status, a.body)
	}
	_, err := f.client.PurgeArchive(t.Context(), a.UUID)
	want(t, err, shield.Conflict, "", "is held")
	if a := f.do("POST", path+"/release", ""); a.status != 200 || !strings.Contains(a.body, `"held":false`) {
		t.Errorf("release: %d %s", a.status, a.body)
	}
	f.wait(f.client.PurgeArchive(t.Context(), a.UUID))
	if p := f.refused(f.do("POST", path+"/hold", "")); p.Status != 409 {
		t.Errorf("of one that is gone: %+v", p)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.do("POST", "/v1/schedules/explain", `{"timespec":"daily 2:30","timezone":"Europe/Rome","from":"2026-03-28T12:00:00Z","count":3,"blackout":["mondays 0:00 to 6:00"]}`)
	var x server.Explanation
	f.must(json.Unmarshal([]byte(a.body), &x))
	if a.status != 200 || len(x.Runs) != 3 || x.Timezone != "Europe/Rome" || x.Meaning == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if r := x.Runs[0]; r.Offset != "+02:00" || r.Note == "" { // 2:30 does not exist on that day
		t.Errorf("%+v", r)
	}
	if r := x.Runs[1]; !strings.Contains(r.Note, "blackout") {
		t.Errorf("%+v", r)
	}
	for body, field := range map[string]string{
		`{}`: "timespec", `{"timespec":"when it rains"}`: "timespec", `{"timespec":"daily 4:00","count":1001}`: "count", `{"timespec":"daily 4:00","count":-1}`: "count",
		`{"timespec":"daily 4:00","timezone":"Mars"}`: "timezone", `{"timespec":"daily 4:00","blackout":["x"]}`: "blackout", `{"timespec":"daily 4:00","x":1}`: "x",
	} {
		if p := f.refused(f.do("POST", "/v1/schedules/explain", body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if a := f.do("POST", "/v1/schedules", `{"name":"explain","timespec":"daily 4:00"}`); a.status != 201 {
		t.Errorf("a schedule of that name: %s", a.body)
	}
	if a := f.do("GET", "/v1/schedules/explain", ""); a.status != 200 {
		t.Errorf("a schedule of that name: %d %s", a.status, a.body)
	}
}

// TestIdempotencyKey: a request that is sent again with its key gets the task
// that it got, also if both come at once.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	archive := f.backup("a")
	keyed := func(path, key, body string) answer {
		req, err := http.NewRequest("POST", f.url+path, strings.NewReader(body))
		f.must(err)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Idempotency-Key", key)
		return f.send(req)
	}
	task := func(a answer) string {
		t.Helper()
		var made shield.Task
		if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 202 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return made.UUID
	}
	var ids [8]string
	var all sync.WaitGroup
	for n := range ids {
		all.Go(func() {
			var made shield.Task
			if json.Unmarshal([]byte(keyed("/v1/jobs/a/run", "one", "").body), &made) == nil {
				ids[n] = made.UUID
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("one request made the tasks %q", ids)
		}
	}
	f.wait(f.client.Tasks().Get(t.Context(), ids[0]))
	if again := task(keyed("/v1/jobs/a/run", "one", "")); again != ids[0] {
		t.Errorf("after its end: %s, was %s", again, ids[0])
	}
	if other := task(keyed("/v1/jobs/a/run", "two", "")); other == ids[0] {
		t.Error("another key got the same task")
	}
	path := "/v1/archives/" + archive.UUID + "/restore"
	first := task(keyed(path, "three", `{"target":"b","confirm":"b"}`))
	if again := task(keyed(path, "three", `{"target":"b","confirm":"b"}`)); again != first {
		t.Errorf("restore: %s, was %s", again, first)
	}
	for _, c := range []struct{ path, key, body string }{
		{"/v1/jobs/b/run", "one", ""}, {path, "one", `{"confirm":"a"}`}, {path, "three", `{"target":"a","confirm":"a"}`}, {path, "three", `{"confirm":"a"}`},
		{"/v1/targets/a/restore", "three", `{"confirm":"a"}`},
	} {
		p := f.refused(keyed(c.path, c.key, c.body))
		if p.Status != 409 || p.Field != "Idempotency-Key" {
			t.Errorf("%s %s with the key of another: %+v", c.path, c.body, p)
		}
	}
	if p := f.refused(keyed("/v1/jobs/a/run", strings.Repeat("k", 201), "")); p.Status != 400 || p.Field != "Idempotency-Key" {
		t.Errorf("a long key: %+v", p)
	}
}
