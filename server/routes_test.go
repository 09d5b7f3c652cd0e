package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// TestTour takes one thing of each kind through its life.
func TestTour(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.setUp("a")

	job, err := f.client.Jobs().Get(ctx, "a")
	f.must(err)
	if job.TargetName != "a" || job.StoreName != "a" || job.ScheduleName != "a" || job.PolicyName != "a" || !shield.IsUUID(job.Target) {
		t.Errorf("job = %+v", job)
	}
	archive := f.backup("a")
	if archive.Status != shield.ArchiveValid || archive.RawSize != 12000 || archive.TargetName != "a" {
		t.Errorf("archive = %+v", archive)
	}
	noted, err := f.client.Archives().Edit(ctx, archive.UUID, map[string]any{"notes": "before the upgrade"})
	if err != nil || noted.Notes != "before the upgrade" || noted.Status != shield.ArchiveValid {
		t.Errorf("archive = %+v, %v", noted, err)
	}

	f.memory.SetTarget("a", nil)
	if end := f.wait(f.client.Restore(ctx, archive.UUID, server.RestoreRequest{Confirm: "a"})); end.Status != shield.TaskDone {
		t.Errorf("restore %s: %s", end.Status, end.Error)
	}
	if b, _ := f.memory.Target("a"); len(b) != 12000 {
		t.Errorf("%d bytes were restored", len(b))
	}
	if end := f.wait(f.client.TestStore(ctx, "a")); end.Status != shield.TaskDone {
		t.Errorf("test-store %s: %s", end.Status, end.Error)
	}
	if end := f.wait(f.client.PurgeArchive(ctx, archive.UUID)); end.Status != shield.TaskDone {
		t.Errorf("purge %s: %s", end.Status, end.Error)
	}
	if keys := f.memory.Keys("a"); len(keys) > 0 {
		t.Errorf("the store still has %q", keys)
	}
	_, err = f.client.Restore(ctx, archive.UUID, server.RestoreRequest{Confirm: "a"})
	want(t, err, shield.Conflict, "", "is purged")
	_, err = f.client.PurgeArchive(ctx, archive.UUID)
	want(t, err, shield.Conflict, "", "is purged already")

	s, err := f.client.Status(ctx)
	if err != nil || s.Targets != 1 || s.Stores != 1 || s.Jobs != 1 || s.Archives != 0 || s.Failures != 0 || s.Release != "v0" {
		t.Errorf("status = %+v, %v", s, err)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	f.backup("a")
	_, err := f.client.Jobs().Edit(t.Context(), "b", map[string]any{"paused": true})
	f.must(err)
	_, err = f.client.Schedules().Create(t.Context(), &shield.Schedule{Meta: shield.Meta{Name: "c"}, Timespec: "hourly at :10"})
	f.must(err)
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format("2006-01-02")
	for _, c := range []struct {
		path string
		n    int
	}{
		{"/v1/targets", 2}, {"/v1/targets?name=a", 1}, {"/v1/targets?plugin=memory", 2}, {"/v1/targets?plugin=x", 0},
		{"/v1/targets?used=true", 2}, {"/v1/targets?used=false", 0}, {"/v1/targets?limit=1", 1},
		{"/v1/stores", 2}, {"/v1/stores?name=x", 0}, {"/v1/stores?used=true&plugin=memory&limit=5", 2},
		{"/v1/schedules", 3}, {"/v1/schedules?used=false", 1}, {"/v1/schedules?used=0", 1}, {"/v1/schedules?name=c", 1},
		{"/v1/retention", 2}, {"/v1/retention?used=true", 2},
		{"/v1/jobs", 2}, {"/v1/jobs?paused=true", 1}, {"/v1/jobs?paused=false", 1}, {"/v1/jobs?target=a", 1},
		{"/v1/jobs?store=a&schedule=a&retention_policy=a", 1}, {"/v1/jobs?target=a&store=b", 0},
		{"/v1/archives", 1}, {"/v1/archives?target=a&store=a&job=a", 1}, {"/v1/archives?target=b", 0},
		{"/v1/archives?status=valid", 1}, {"/v1/archives?status=purged&status=expired", 0},
		{"/v1/archives?after=20200101&before=" + tomorrow, 1}, {"/v1/archives?after=" + tomorrow, 0},
		{"/v1/archives?before=2020-01-01T00:00:00Z", 0}, {"/v1/archives?plugin=memory&limit=1", 1},
		{"/v1/tasks", 1}, {"/v1/tasks?op=backup&status=done", 1}, {"/v1/tasks?op=restore", 0}, {"/v1/tasks?status=pending&status=running", 0},
		{"/v1/tasks?job=b", 0}, {"/v1/tasks?target=a&store=a", 1},
		{"/v1/events?limit=1", 1}, {"/v1/plugins", 1},
	} {
		a := f.do("GET", c.path, "")
		var all []map[string]any
		if err := json.Unmarshal([]byte(a.body), &all); err != nil || a.status != 200 || all == nil || len(all) != c.n {
			t.Errorf("%s: %d, %d of %d: %.300s", c.path, a.status, len(all), c.n, a.body)
		}
		if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: header %v", c.path, a.header)
		}
	}
	if a := f.do("GET", "/v1/runs?job=a&status=due", ""); a.status != 200 || !strings.HasPrefix(a.body, "[") {
		t.Errorf("runs: %d %s", a.status, a.body)
	}
}

func TestQueriesRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct{ path, field, text string }{
		{"/v1/targets?colour=red", "colour", "name, plugin, used, limit"},
		{"/v1/targets?target=a", "target", "is not a parameter"},
		{"/v1/targets?used=maybe", "used", "true or false"},
		{"/v1/targets?limit=-1", "limit", "0 or more"},
		{"/v1/targets?limit=99999999999999999999", "limit", "whole number"},
		{"/v1/targets?limit=1&limit=2", "limit", "2 times"},
		{"/v1/targets?name=a;b", "", "malformed"},
		{"/v1/targets?name=%zz", "", "malformed"},
		{"/v1/archives?after=yesterday", "after", "20260131"},
		{"/v1/archives?before=2026-02-30", "before", "date"},
		{"/v1/archives?status=vlaid", "status", "valid, expired"},
		{"/v1/archives?status=done", "status", "valid, expired"},
		{"/v1/tasks?status=valid", "status", "pending, running"},
		{"/v1/tasks?op=backups", "op", "test-store"},
		{"/v1/tasks?paused=true", "paused", "is not a parameter"},
		{"/v1/runs?status=x", "status", "missed"},
		{"/v1/events?status=x", "status", "is not a parameter"},
		{"/v1/tasks/11111111-1111-4111-8111-111111111111/follow?wait=x", "wait", "whole number"},
		{"/v1/tasks/11111111-1111-4111-8111-111111111111/follow?limit=1", "limit", "after, wait"},
	} {
		a := f.do("GET", c.path, "")
		p := f.refused(a)
		if a.status != 400 || p.Field != c.field || !strings.Contains(p.Detail, c.text) {
			t.Errorf("%s: %d %+v", c.path, a.status, p)
		}
	}
	for _, kind := range []string{"target", "store", "job"} {
		if p := f.refused(f.do("GET", "/v1/archives?"+kind+"=nope", "")); p.Code != "not_found" {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}

// noun is a kind of thing with the body of a good one, called a.
var nouns = []struct{ path, body string }{
	{"/v1/targets", `{"name":"a","plugin":"memory","endpoint":{"name":"x"}}`},
	{"/v1/stores", `{"name":"a","plugin":"memory","endpoint":{"name":"x"}}`},
	{"/v1/schedules", `{"name":"a","timespec":"daily 4:00"}`},
	{"/v1/retention", `{"name":"a","expiry":86400}`},
	{"/v1/jobs", `{"name":"a","target":"z","store":"z","schedule":"z","retention_policy":"z"}`},
}

var nextDue = regexp.MustCompile(`"next_due":"[^"]+"`)

// settled is an answer without the one field that the scheduler may change
// meanwhile.
func settled(a answer) string { return nextDue.ReplaceAllString(a.body, "") }

func TestNouns(t *testing.T) {
	t.Parallel()
	for _, n := range nouns {
		t.Run(n.path, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.setUp("z")
			a := f.do("POST", n.path, n.body)
			var made shield.Meta
			if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 201 || made.Version != 1 || made.CreatedAt.IsZero() {
				t.Fatalf("create: %d %s", a.status, a.body)
			}
			if p := f.refused(f.do("POST", n.path, n.body)); p.Status != 409 || p.Code != "conflict" || p.Field != "name" {
				t.Errorf("twice: %+v", p)
			}
			byName, byUUID := f.do("GET", n.path+"/a", ""), f.do("GET", n.path+"/"+made.UUID, "")
			if byName.status != 200 || settled(byName) != settled(byUUID) || settled(byName) != settled(a) {
				t.Errorf("by name %s, by UUID %s", byName.body, byUUID.body)
			}
			if a := f.do("PATCH", n.path+"/a", byName.body); a.status != 200 {
				t.Errorf("what was read is refused: %s", a.body)
			}
			a = f.do("PATCH", n.path+"/a", `{"summary":"new & <improved>"}`)
			var next map[string]any
			var before map[string]any
			f.must(json.Unmarshal([]byte(a.body), &next))
			f.must(json.Unmarshal([]byte(byName.body), &before))
			for _, field := range []string{"summary", "version", "updated_at", "next_due"} { // the last comes by itself
				delete(before, field)
				if field == "summary" && next[field] != "new & <improved>" {
					t.Errorf("summary = %v", next[field])
				}
				delete(next, field)
			}
			if got, was := text(next), text(before); a.status != 200 || got != was {
				t.Errorf("%d: the edit changed more: %s, was %s", a.status, got, was)
			}
			for body, field := range map[string]string{
				`{"colour":"red"}`: "colour", `{"uuid":"x"}`: "uuid", `{"created_at":"2020-01-01T00:00:00Z"}`: "created_at",
				`{"name":null}`: "name", `{"name":""}`: "name", `{"summary":5}`: "summary", `null`: "", `[]`: "", `{`: "", ``: "",
			} {
				if p := f.refused(f.do("PATCH", n.path+"/a", body)); p.Status != 400 || p.Code != "invalid" || p.Field != field {
					t.Errorf("PATCH %s: %+v", body, p)
				}
			}
			if p := f.refused(f.do("PATCH", n.path+"/a", `{"version":1,"summary":"late"}`)); p.Status != 409 || p.Field != "version" {
				t.Errorf("stale: %+v", p)
			}
			if a := f.do("DELETE", n.path+"/a", ""); a.status != 204 || a.body != "" {
				t.Errorf("delete: %d %s", a.status, a.body)
			}
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				if p := f.refused(f.do(method, n.path+"/a", "{}")); p.Status != 404 || p.Code != "not_found" {
					t.Errorf("%s after: %+v", method, p)
				}
			}
		})
	}
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestInUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.backup("a")
	ctx := t.Context()
	for kind, err := range map[string]error{
		"target": f.client.Targets().Delete(ctx, "a"), "store": f.client.Stores().Delete(ctx, "a"),
		"schedule": f.client.Schedules().Delete(ctx, "a"), "policy": f.client.Policies().Delete(ctx, "a"),
	} {
		t.Run(kind, func(t *testing.T) { want(t, err, shield.InUse, "", "job a") })
	}
	want(t, f.client.Targets().Delete(ctx, "a"), shield.InUse, "", "1 archive")
	f.must(f.client.Jobs().Delete(ctx, "a"))
	f.must(f.client.Schedules().Delete(ctx, "a"))
	want(t, f.client.Stores().Delete(ctx, "a"), shield.InUse, "", "1 archive")
}

func TestEditsRace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	one, err := f.client.Targets().Get(t.Context(), "a")
	f.must(err)
	errs := make(chan error, 2)
	for _, s := range []string{"one", "two"} {
		go func() {
			_, err := f.client.Targets().Edit(t.Context(), "a", map[string]any{"summary": s, "version": one.Version})
			errs <- err
		}()
	}
	got := []error{<-errs, <-errs}
	if got[0] == nil {
		got[0], got[1] = got[1], got[0]
	}
	want(t, got[0], shield.Conflict, "version", "was changed meanwhile")
	f.must(got[1])
}

func TestJobReferences(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	uuids := map[string]string{}
	for _, name := range []string{"a", "b"} {
		target, err := f.client.Targets().Get(t.Context(), name)
		f.must(err)
		uuids[name] = target.UUID
	}
	for _, c := range []struct{ patch, target string }{
		{`{"target":"b"}`, "b"},
		{`{"target_uuid":"a"}`, "a"},
		{`{"target_uuid":"` + uuids["b"] + `","target":"a"}`, "b"}, // the name as it was
		{`{"target_uuid":"` + uuids["b"] + `","target":"a"}`, "a"}, // the UUID as it was
	} {
		a := f.do("PATCH", "/v1/jobs/a", c.patch)
		var j shield.Job
		f.must(json.Unmarshal([]byte(a.body), &j))
		if j.TargetName != c.target || j.Target != uuids[c.target] {
			t.Errorf("PATCH %s: %s", c.patch, a.body)
		}
	}
	for patch, field := range map[string]string{
		`{"target":"b","target_uuid":"` + uuids["b"] + `"}`: "target",
		`{"target":"nope"}`:      "target",
		`{"store_uuid":""}`:      "store",
		`{"schedule":null}`:      "schedule",
		`{"priority":101}`:       "priority",
		`{"priority":-1}`:        "priority",
		`{"priority":1.5}`:       "priority",
		`{"priority":"high"}`:    "priority",
		`{"compression":"max"}`:  "compression",
		`{"timeout":-1}`:         "timeout",
		`{"paused":"yes"}`:       "paused",
		`{"retention_policy":7}`: "retention_uuid",
	} {
		if p := f.refused(f.do("PATCH", "/v1/jobs/a", patch)); p.Status != 400 || p.Field != field {
			t.Errorf("PATCH %s: %+v", patch, p)
		}
	}
	for body, field := range map[string]string{
		`{"name":"c","store":"a","schedule":"a","retention_policy":"a"}`:                                   "target",
		`{"name":"c","target":"a","schedule":"a","retention_policy":"a"}`:                                  "store",
		`{"name":"c","target":"a","store":"a","retention_policy":"a"}`:                                     "schedule",
		`{"name":"c","target":"a","store":"a","schedule":"a"}`:                                             "retention_policy",
		`{"name":"c","target":"a","store":"a","schedule":"a","retention_policy":"nope"}`:                   "retention_policy",
		`{"target":"a","store":"a","schedule":"a","retention_policy":"a"}`:                                 "name",
		`{"name":"c","target":"a","store":"a","schedule":"a","retention_policy":"a","priority":1000}`:      "priority",
		`{"name":"c","target":"a","store":"a","schedule":"a","retention_policy":"a","compression":"zstd"}`: "compression",
	} {
		if p := f.refused(f.do("POST", "/v1/jobs", body)); p.Status != 400 || p.Field != field {
			t.Errorf("POST %s: %+v", body, p)
		}
	}
	a := f.do("POST", "/v1/jobs", `{"name":"c","target":"a","store":"a","schedule":"a","retention_policy":"a"}`)
	if !strings.Contains(a.body, `"priority":50`) {
		t.Errorf("a job without priority: %s", a.body)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{
		"plain", "with space", "a/b", "/", "a//b", "../..", "..", ".", "100%", "%2F", "%zz", "a?b=c", "a#b", "ü", "日本語", "😀",
		"a+b", "a&b=c", `quo"te`, `back\slash`, "<b>", "semi;colon", "targets", "-", "--json", "run", strings.Repeat("n", shield.NameLimit),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := f.client.Schedules().Create(t.Context(), &shield.Schedule{Meta: shield.Meta{Name: name}, Timespec: "daily 4:00"})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := f.client.Schedules().Get(t.Context(), name); err != nil || got.UUID != s.UUID {
				t.Errorf("Get = %+v, %v", got, err)
			}
			if got, err := f.client.Schedules().List(t.Context(), url.Values{"name": {name}}); err != nil || len(got) != 1 {
				t.Errorf("List = %+v, %v", got, err)
			}
			if got, err := f.client.Schedules().Edit(t.Context(), name, map[string]any{"summary": name}); err != nil || got.Summary != name {
				t.Errorf("Edit = %+v, %v", got, err)
			}
			if err := f.client.Schedules().Delete(t.Context(), name); err != nil {
				t.Errorf("Delete: %v", err)
			}
		})
	}
}

func TestNamesRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{
		`""`, `" a"`, `"a "`, `"a\u0000b"`, `"a\nb"`, `"\u001b[31m"`, `"\u0085"`, `"` + strings.Repeat("n", shield.NameLimit+1) + `"`,
		`"` + strings.Repeat("n", 1_000_000) + `"`, `"11111111-1111-4111-8111-111111111111"`, `5`, `true`, `["a"]`, `{"a":1}`,
	} {
		p := f.refused(f.do("POST", "/v1/schedules", `{"timespec":"daily 4:00","name":`+name+`}`))
		if p.Status != 400 || p.Field != "name" || len(p.Detail) > 500 {
			t.Errorf("%.50s: %.500v", name, p)
		}
	}
	if p := f.refused(f.do("GET", "/v1/schedules/"+strings.Repeat("n", 10_000), "")); p.Status != 404 || len(p.Detail) > 500 {
		t.Errorf("%.500v", p)
	}
	for _, path := range []string{"/v1/schedules/%00", "/v1/schedules/%ff", "/v1/schedules/a%ff%fe"} {
		if p := f.refused(f.do("GET", path, "")); p.Status != 404 {
			t.Errorf("%s: %+v", path, p)
		}
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct{ body, field, text string }{
		{`{"name":"a","endpoint":{}}`, "plugin", "is missing"},
		{`{"name":"a","plugin":"nope","endpoint":{}}`, "plugin", "this host has memory"},
		{`{"name":"a","plugin":"memory"}`, "endpoint", "is missing"},
		{`{"name":"a","plugin":"memory","endpoint":null}`, "endpoint", "JSON object"},
		{`{"name":"a","plugin":"memory","endpoint":"{}"}`, "endpoint", "JSON object"},
		{`{"name":"a","plugin":"memory","endpoint":{"name":"x","name":"y"}}`, "endpoint", "twice"},
		{`{"name":"a","plugin":"memory","endpoint":{}}`, "endpoint.name", "is missing"},
		{`{"name":"a","plugin":"memory","endpoint":{"name":5}}`, "endpoint.name", "is 5"},
		{`{"name":"a","plugin":"memory","endpoint":{"name":"x","colour":"red"}}`, "endpoint.colour", "name, password"},
		{`{"name":"a","plugin":"memory","endpoint":{"name":"` + strings.Repeat("x", shield.EndpointLimit) + `"}}`, "endpoint", "at most"},
	} {
		for _, path := range []string{"/v1/targets", "/v1/stores"} {
			p := f.refused(f.do("POST", path, c.body))
			if p.Status != 400 || p.Field != c.field || !strings.Contains(p.Detail, c.text) || len(p.Detail) > 500 {
				t.Errorf("%s %.100s: %+v", path, c.body, p)
			}
		}
	}
	for body, field := range map[string]string{
		`{"name":"s"}`: "timespec", `{"name":"s","timespec":"when it rains"}`: "timespec", `{"name":"s","timespec":5}`: "timespec",
	} {
		if p := f.refused(f.do("POST", "/v1/schedules", body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	for _, expiry := range []string{"0", "-1", "3162240001", "99999999999999999999", `"30d"`, "1.5"} {
		if p := f.refused(f.do("POST", "/v1/retention", `{"name":"p","expiry":`+expiry+`}`)); p.Status != 400 || p.Field != "expiry" {
			t.Errorf("%s: %+v", expiry, p)
		}
	}
}

func TestArchiveNotes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	path := "/v1/archives/" + a.UUID
	for body, field := range map[string]string{
		`{}`: "notes", `{"notes":null}`: "notes", `{"status":"purged"}`: "status", `{"notes":5}`: "notes", `{"notes":"a\u0000"}`: "notes",
	} {
		if p := f.refused(f.do("PATCH", path, body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	for _, path := range []string{"/v1/archives/nope", "/v1/archives/11111111-1111-4111-8111-111111111111"} {
		for method, on := range map[string]string{"GET": path, "PATCH": path, "DELETE": path, "POST": path + "/restore"} {
			body := ""
			if method == "PATCH" {
				body = `{"notes":"x"}`
			}
			if p := f.refused(f.do(method, on, body)); p.Status != 404 {
				t.Errorf("%s %s: %+v", method, on, p)
			}
		}
	}
}

// TestRestoreAt restores what a target held at a time: the newest archive that
// was taken by then.
func TestRestoreAt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.setUp("a")
	f.setUp("b")
	_, err := f.client.RestoreTarget(ctx, "a", server.RestoreTargetRequest{})
	want(t, err, shield.NotFound, "", "no archive that can be restored")
	var all []*shield.Archive
	for range 3 {
		if len(all) > 0 { // archives are told apart by milliseconds
			for time.Now().UTC().Truncate(time.Millisecond).Equal(all[len(all)-1].TakenAt) {
				time.Sleep(time.Millisecond)
			}
		}
		all = append(all, f.backup("a"))
	}
	f.wait(f.client.PurgeArchive(ctx, all[2].UUID))
	for name, c := range map[string]struct {
		at   time.Time
		want int
	}{
		"newest":  {time.Time{}, 1}, // that is there yet
		"now":     {time.Now().Add(time.Hour), 1},
		"then":    {all[1].TakenAt, 1},
		"before":  {all[1].TakenAt.Add(-time.Nanosecond), 0},
		"between": {all[0].TakenAt.Add(time.Nanosecond), 0},
	} {
		end := f.wait(f.client.RestoreTarget(ctx, "a", server.RestoreTargetRequest{At: c.at, Target: "b", Confirm: "b"}))
		if end.Status != shield.TaskDone || end.Archive != all[c.want].UUID || end.TargetName != "b" || end.Expected == nil {
			t.Errorf("%s: restored %s: %s %s", name, end.Archive, end.Status, end.Error)
		}
	}
	_, err = f.client.RestoreTarget(ctx, "a", server.RestoreTargetRequest{At: all[0].TakenAt.Add(-time.Second)})
	want(t, err, shield.NotFound, "at", "the oldest is from "+all[0].TakenAt.Format(time.RFC3339))
	_, err = f.client.RestoreTarget(ctx, "nope", server.RestoreTargetRequest{})
	want(t, err, shield.NotFound, "", "nope")
	for _, body := range []string{`{"at":"yesterday"}`, `{"at":5}`, `{"to":"b"}`, `[]`} {
		if p := f.refused(f.do("POST", "/v1/targets/a/restore", body)); p.Status != 400 {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestRestoreElsewhere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	f.register("other", plugintest.NewMemory())
	_, err := f.client.Targets().Create(t.Context(), &shield.Target{Meta: shield.Meta{Name: "other"}, Plugin: "other", Endpoint: shield.Endpoint(`{"name":"x"}`)})
	f.must(err)
	a := f.backup("a")
	if end := f.wait(f.client.Restore(t.Context(), a.UUID, server.RestoreRequest{Target: "b", Confirm: "b"})); end.Status != shield.TaskDone || end.TargetName != "b" {
		t.Errorf("restore %s: %s", end.Status, end.Error)
	}
	if b, _ := f.memory.Target("b"); !strings.HasPrefix(string(b), "content of a") {
		t.Errorf("b holds %.20s", b)
	}
	_, err = f.client.Restore(t.Context(), a.UUID, server.RestoreRequest{Target: "nope"})
	want(t, err, shield.NotFound, "", "nope")
	_, err = f.client.Restore(t.Context(), a.UUID, server.RestoreRequest{Target: "other"})
	want(t, err, shield.Invalid, "target", "was made by")
	for _, body := range []string{`{"to":"b"}`, `{"target":5}`, `[]`, `{`} {
		if p := f.refused(f.do("POST", "/v1/archives/"+a.UUID+"/restore", body)); p.Status != 400 {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

func TestMissingActions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct{ method, path string }{
		{"POST", "/v1/jobs/nope/run"}, {"POST", "/v1/stores/nope/test"}, {"GET", "/v1/tasks/nope"},
		{"GET", "/v1/tasks/nope/follow"}, {"POST", "/v1/tasks/nope/cancel"}, {"GET", "/v1/plugins/nope"},
		{"GET", "/v1/nope"}, {"GET", "/nope"}, {"GET", "/"}, {"GET", "/v2/targets"}, {"POST", "/v1/jobs/a/b/run"},
		{"GET", "/v1/targets/"}, {"DELETE", "/v1/archives/"}, {"POST", "/v1/targets/"}, {"GET", "//v1//targets"}, {"GET", "/v1/./targets"},
	} {
		if p := f.refused(f.do(c.method, c.path, "")); p.Status != http.StatusNotFound || p.Code != "not_found" {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
	for _, c := range []struct{ method, path string }{
		{"PUT", "/v1/targets"}, {"DELETE", "/v1/targets"}, {"POST", "/v1/targets/a"}, {"GET", "/v1/jobs/a/run"},
		{"POST", "/v1/status"}, {"DELETE", "/v1/tasks/a"}, {"POST", "/healthz"}, {"PATCH", "/v1/tasks/a"}, {"POST", "/v1/archives"},
	} {
		a := f.do(c.method, c.path, "")
		if p := f.refused(a); p.Status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
			t.Errorf("%s %s: %+v", c.method, c.path, p)
		}
	}
}

func TestPlugins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.register("broken", brokenPlugin{})
	all, err := f.client.Plugins(t.Context())
	f.must(err)
	i := slices.IndexFunc(all, func(p plugin.Offer) bool { return p.Name == "memory" })
	if len(all) != 2 || i < 0 || all[i].Info == nil || all[i].Info.Version != "1.0.0" {
		t.Errorf("plugins = %+v", all)
	}
	if b := all[1-i]; b.Info != nil || b.Error == "" || strings.Contains(b.Error, "s3cret") {
		t.Errorf("broken = %+v", b)
	}
	one, err := f.client.Plugin(t.Context(), "memory")
	if err != nil || one.Info == nil || len(one.Info.Fields) != 3 {
		t.Errorf("plugin = %+v, %v", one, err)
	}
	_, err = f.client.Plugin(t.Context(), "nope")
	want(t, err, shield.NotFound, "", "this host has broken, memory")
}
