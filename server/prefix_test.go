package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// TestPrefix names things by the beginning of their UUIDs, in every route that
// takes a name.
func TestPrefix(t *testing.T) {
	f := newFixture(t)
	f.setUp("z")
	for _, noun := range []string{"targets", "stores", "schedules", "retention", "jobs"} {
		var v struct{ UUID string }
		f.must(json.Unmarshal([]byte(f.do("GET", "/v1/"+noun+"/z", "").body), &v))
		if a := f.do("GET", "/v1/"+noun+"/"+v.UUID[:18], ""); a.status != 200 {
			t.Errorf("%s by %s: %d %s", noun, v.UUID[:18], a.status, a.body)
		}
	}
	u, ann := f.user("ann", shield.RoleViewer)
	if a := f.do("GET", "/v1/users/"+u.UUID[:18], ""); a.status != 200 {
		t.Errorf("a user by the beginning: %d %s", a.status, a.body)
	}
	tokens, err := ann.Tokens().List(t.Context(), nil)
	f.must(err)
	if got, err := ann.Tokens().Get(t.Context(), tokens[0].UUID[:18]); err != nil || got.Name != "ann" {
		t.Errorf("a token by the beginning: %+v, %v", got, err)
	}
	run := f.do("POST", "/v1/jobs/z/run", "")
	var task struct{ UUID string }
	f.must(json.Unmarshal([]byte(run.body), &task))
	if a := f.do("GET", "/v1/tasks/"+task.UUID[:18], ""); a.status != 200 {
		t.Errorf("a task by its beginning: %d %s", a.status, a.body)
	}
	if a := f.do("GET", "/v1/tasks/"+task.UUID[:18]+"/follow?after=0&wait=0", ""); a.status != 200 {
		t.Errorf("its log by its beginning: %d %s", a.status, a.body)
	}
	if p := f.refused(f.do("GET", "/v1/tasks/00000000-0000", "")); p.Status != 404 {
		t.Errorf("what none begins with: %+v", p)
	}
}

// TestPrefixInReferences names by the beginning of a UUID what a job, a filter or
// a restore refers to.
func TestPrefixInReferences(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("z")
	refs := map[string]string{}
	for noun, field := range map[string]string{"targets": "target", "stores": "store", "schedules": "schedule", "retention": "retention_policy"} {
		var v struct{ UUID string }
		f.must(json.Unmarshal([]byte(f.do("GET", "/v1/"+noun+"/z", "").body), &v))
		refs[field] = v.UUID[:13]
	}
	refs["name"] = "y"
	if a := f.do("POST", "/v1/jobs", text(refs)); a.status != 201 || !strings.Contains(a.body, `"target":"z"`) {
		t.Errorf("a job: %d %s", a.status, a.body)
	}
	delete(refs, "name")
	if a := f.do("PATCH", "/v1/jobs/y", text(refs)); a.status != 200 || !strings.Contains(a.body, `"schedule":"z"`) {
		t.Errorf("another: %d %s", a.status, a.body)
	}
	for field, ref := range refs {
		if a := f.do("GET", "/v1/jobs?"+field+"="+ref, ""); a.status != 200 || strings.Count(a.body, `"uuid"`) != 2 {
			t.Errorf("jobs of %s %s: %d %s", field, ref, a.status, a.body)
		}
	}
	a := f.backup("y")
	end := f.wait(f.client.Restore(t.Context(), a.UUID[:13], server.RestoreRequest{Target: refs["target"], Confirm: "z"}))
	if end.Status != shield.TaskDone || end.TargetName != "z" {
		t.Errorf("a restore: %s %s", end.Status, end.Error)
	}
	for _, name := range []string{"one", "two"} {
		m := shield.Meta{UUID: "aaaa0000-0000-4000-8000-00000000000" + name[:1], Name: name}
		m.UUID = strings.NewReplacer("o", "1", "t", "2").Replace(m.UUID)
		f.must(f.catalog.CreateTarget(t.Context(), &shield.Target{Meta: m, Plugin: "memory", Endpoint: shield.Endpoint(`{}`)}))
	}
	for name, a := range map[string]answer{
		"a job": f.do("PATCH", "/v1/jobs/y", `{"target":"aaaa0000"}`), "a list": f.do("GET", "/v1/archives?target=aaaa0000", ""),
		"a restore": f.do("POST", "/v1/archives/"+a.UUID+"/restore", `{"target":"aaaa0000"}`),
	} {
		if p := f.refused(a); p.Status != 400 || p.Field != "target" || !strings.Contains(p.Detail, "more than one target") {
			t.Errorf("%s of two: %+v", name, p)
		}
	}
}
