package server_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

func TestAcknowledge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.memory.SetTarget("a", bytes.Repeat([]byte("x"), 1<<20))
	var good *shield.Archive
	for range 3 {
		good = f.backup("a")
	}
	f.memory.SetTarget("a", []byte("x"))
	small := f.backup("a")
	if !small.Suspicious() || small.AcknowledgedBy != "" {
		t.Fatalf("the archive is %+v", small)
	}
	status, err := f.client.Status(t.Context())
	f.must(err)
	if len(status.Suspicious) != 1 || status.Suspicious[0].UUID != small.UUID {
		t.Errorf("status: %+v", status.Suspicious)
	}
	list, err := f.client.Archives().List(t.Context(), url.Values{"suspicious": {"true"}})
	f.must(err)
	if len(list) != 1 || list[0].UUID != small.UUID {
		t.Errorf("list: %+v", list)
	}
	preview, err := f.client.PreviewJob(t.Context(), "a")
	f.must(err)
	for _, p := range preview {
		if !p.Kept || !strings.Contains(strings.Join(p.Rules, ", "), "frozen by suspicious archive "+small.UUID) {
			t.Errorf("preview: %+v", p)
		}
	}
	if p := f.refused(f.do("DELETE", "/v1/archives/"+good.UUID, "")); p.Status != 409 || !strings.Contains(p.Detail, small.UUID) {
		t.Errorf("deleting another archive: %+v", p)
	}
	path := "/v1/archives/" + small.UUID + "/acknowledge"
	for body, field := range map[string]string{`{"why":"x"}`: "why", `{"note":"\u0000"}`: "note", `{"note":1}`: "note"} {
		if p := f.refused(f.do("POST", path, body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if p := f.refused(f.do("POST", "/v1/archives/"+good.UUID+"/acknowledge", "")); p.Status != 409 || !strings.Contains(p.Detail, "not suspicious") {
		t.Errorf("acknowledging a good one: %+v", p)
	}
	if p := f.refused(f.do("POST", "/v1/archives/nope/acknowledge", "")); p.Status != 404 {
		t.Errorf("acknowledging none: %+v", p)
	}
	done, err := f.client.AcknowledgeArchive(t.Context(), small.UUID, "emptied on purpose")
	f.must(err)
	if done.Suspicious() || done.AcknowledgedBy != "admin" || done.AcknowledgedNote != "emptied on purpose" || done.Suspicion == "" {
		t.Errorf("acknowledged: %+v", done)
	}
	if p := f.refused(f.do("POST", path, "")); p.Status != 409 || !strings.Contains(p.Detail, "already, by admin") {
		t.Errorf("acknowledging twice: %+v", p)
	}
	if end := f.wait(f.client.PurgeArchive(t.Context(), good.UUID)); end.Status != shield.TaskDone {
		t.Errorf("purge: %s", end.Error)
	}
}
