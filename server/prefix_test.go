package server_test

import (
	"encoding/json"
	"testing"

	"github.com/shieldhq/shield"
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
