package server_test

import (
	"testing"

	"github.com/shieldhq/shield"
)

func TestPreviewAndHold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	first, second := f.backup("a"), f.backup("a")
	_, err := f.client.Policies().Edit(t.Context(), "a", map[string]any{"keep_daily": 7, "timezone": "Europe/Rome"})
	f.must(err)
	for _, get := range []func() error{
		func() error {
			p, err := f.client.PreviewPolicy(t.Context(), "a")
			if err == nil && (len(p) != 2 || p[0].Archive.UUID != second.UUID || !p[0].Kept || len(p[0].Rules) != 3 || p[1].Job != "a") {
				t.Errorf("the policy: %+v", p)
			}
			return err
		},
		func() error {
			p, err := f.client.PreviewJob(t.Context(), "a")
			if err == nil && (len(p) != 2 || p[1].Archive.UUID != first.UUID || len(p[1].Rules) != 1) {
				t.Errorf("the job: %+v", p)
			}
			return err
		},
	} {
		f.must(get())
	}
	for _, path := range []string{"/v1/retention/nope/preview", "/v1/jobs/nope/retention"} {
		if p := f.refused(f.do("GET", path, "")); p.Status != 404 {
			t.Errorf("%s: %+v", path, p)
		}
	}
	for body, field := range map[string]string{`{"keep_daily":-1}`: "keep_daily", `{"timezone":"Mars/Base"}`: "timezone", `{"min_valid":1000000}`: "min_valid"} {
		if p := f.refused(f.do("PATCH", "/v1/retention/a", body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	held, err := f.client.Archives().Edit(t.Context(), first.UUID, map[string]any{"held": true})
	f.must(err)
	if !held.Held {
		t.Error("the archive is not held")
	}
	if p := f.refused(f.do("DELETE", "/v1/archives/"+first.UUID, "")); p.Status != 409 {
		t.Errorf("purge of a held archive: %+v", p)
	}
	_, err = f.client.Archives().Edit(t.Context(), first.UUID, map[string]any{"held": false})
	f.must(err)
	if end := f.wait(f.client.PurgeArchive(t.Context(), first.UUID)); end.Status != shield.TaskDone {
		t.Errorf("purge: %s", end.Error)
	}
	if p := f.refused(f.do("PATCH", "/v1/archives/"+first.UUID, `{"held":true}`)); p.Status != 409 {
		t.Errorf("hold of a purged archive: %+v", p)
	}
}
