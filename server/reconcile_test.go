package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
)

func (f *fixture) reconcile(store string, remove bool) *shield.Task {
	f.t.Helper()
	return f.wait(f.client.ReconcileStore(f.t.Context(), store, remove))
}

func (f *fixture) status(archive string) shield.ArchiveStatus {
	f.t.Helper()
	a, err := f.client.Archives().Get(f.t.Context(), archive)
	f.must(err)
	return a.Status
}

// TestReconcile loses a blob, finds it again, and looks at the wrong place.
func TestReconcile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	lost, second, third := f.backup("a"), f.backup("a"), f.backup("a")
	blob, _ := f.memory.Blob("a", lost.Key)
	f.memory.RemoveBlob("a", lost.Key)
	f.memory.SetBlob("a", "holiday.jpg", []byte("x"))
	end := f.reconcile("a", true)
	if end.Status != shield.TaskDone || !end.RemoveOrphans {
		t.Fatalf("the task is %s: %s", end.Status, end.Error)
	}
	r := end.Findings.Reconciliation
	if r.Counts[shield.DiffMissing] != 1 || r.Counts[shield.DiffForeign] != 1 || len(r.Differences) != 2 || r.Archives != 3 || r.Blobs != 6 {
		t.Errorf("found %+v", r)
	}
	if f.status(lost.UUID) != shield.ArchiveInvalid || f.status(second.UUID) != shield.ArchiveValid {
		t.Errorf("the archives are %s and %s", f.status(lost.UUID), f.status(second.UUID))
	}
	events, err := f.client.Events(t.Context(), url.Values{"limit": {"3"}})
	f.must(err)
	if events[1].Kind != shield.EventStoreReconciled || events[2].Kind != shield.EventArchiveMissing || events[2].Subject != lost.UUID {
		t.Errorf("events %+v, %+v", events[1], events[2])
	}
	task, err := f.client.Tasks().Get(t.Context(), end.UUID)
	f.must(err)
	if !strings.Contains(task.Log, "missing: "+lost.Key) || !strings.Contains(task.Log, "foreign: holiday.jpg") {
		t.Errorf("log %s", task.Log)
	}
	if p := f.refused(f.do("POST", "/v1/archives/"+lost.UUID+"/restore", "")); p.Status != 409 {
		t.Errorf("restore of a missing archive: %+v", p)
	}

	f.memory.SetBlob("a", lost.Key, blob)
	if end := f.reconcile("a", false); end.Findings.Reconciliation.Counts[shield.DiffFound] != 1 || f.status(lost.UUID) != shield.ArchiveValid {
		t.Errorf("found %+v", end.Findings.Reconciliation)
	}

	f.faulty.Set(plugintest.ListMisses, 0) // but all can be read: late, not wrong
	_, err = f.client.Stores().Edit(t.Context(), "a", map[string]any{"endpoint": map[string]any{"name": "elsewhere"}})
	f.must(err)
	end = f.reconcile("a", true)
	if end.Status != shield.TaskFailed || end.ErrorCode != shield.StoreFailed || !strings.Contains(end.Error, "none of the 3 archives") {
		t.Errorf("the wrong place: %s, %s", end.Status, end.Error)
	}
	for _, a := range []*shield.Archive{lost, second, third} {
		if f.status(a.UUID) != shield.ArchiveValid {
			t.Errorf("an archive is %s", f.status(a.UUID))
		}
	}
	for body, field := range map[string]string{`{"remove":"yes"}`: "remove", `{"force":true}`: "force"} {
		if p := f.refused(f.do("POST", "/v1/stores/a/reconcile", body)); p.Status != 400 || p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if p := f.refused(f.do("POST", "/v1/stores/nope/reconcile", "")); p.Status != 404 {
		t.Errorf("no such store: %+v", p)
	}
}
