package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

func testReconcile(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Inventory", func(t *testing.T) { testInventory(t, newFixture(t, open)) })
	t.Run("Finish", func(t *testing.T) { testFinishReconcile(t, newFixture(t, open)) })
}

func testInventory(t *testing.T, f *fixture) {
	valid, expired, purged := f.addArchive(epoch()), f.addArchive(epoch()), f.addArchive(epoch())
	f.setStatus(expired, shield.ArchiveExpired, "")
	f.setStatus(purged, shield.ArchivePurged, "asked for")
	tried := map[string]bool{valid.UUID: true, expired.UUID: true, purged.UUID: true}
	failed := f.addTask()
	task, l := f.claim(epoch())
	must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch()}))
	tried[failed.Archive] = true
	running := f.addTask(func(t *shield.Task) { t.Key = "running" })
	f.claim(epoch())
	f.addTask(func(t *shield.Task) {
		t.Op, t.Target, t.Archive, t.Key, t.ManifestKey = shield.OpPurge, "", "", "leftover", "its manifest"
	})

	v, err := f.Inventory(f.ctx, f.store.UUID)
	must(t, err)
	held := map[string]shield.Holding{}
	for _, h := range v.Held {
		held[h.Archive] = h
	}
	holding := func(a *shield.Archive) shield.Holding {
		return shield.Holding{Archive: a.UUID, Key: a.Key, ManifestKey: a.ManifestKey, Status: a.Status, Size: a.StoredSize}
	}
	wantSame(t, "archives held", held, map[string]shield.Holding{valid.UUID: holding(valid), expired.UUID: holding(expired)})
	wantSame(t, "archives tried", v.Tried, tried)
	for _, key := range []string{"running", "running.manifest", "leftover", "leftover.manifest", "its manifest"} {
		if !v.Open[key] {
			t.Errorf("key %q is not that of an open task", key)
		}
	}
	if v.Tried[running.Archive] || v.Open[failed.Key] && failed.Key != running.Key {
		t.Errorf("tried %v, open %v", v.Tried, v.Open)
	}
	for _, store := range []string{unknownUUID(), "", "\xff"} {
		v, err := f.Inventory(f.ctx, store)
		must(t, err)
		if len(v.Held)+len(v.Open)+len(v.Tried) > 0 {
			t.Errorf("store %q has %+v", store, v)
		}
	}
}

// testFinishReconcile marks archives as missing and as found, unless they have
// become something else.
func testFinishReconcile(t *testing.T, f *fixture) {
	lost, going, damaged := f.addArchive(epoch()), f.addArchive(epoch()), f.addArchive(epoch())
	f.setStatus(going, shield.ArchivePurging, "asked for")
	f.setStatus(damaged, shield.ArchiveInvalid, "")
	all := []string{lost.UUID, going.UUID, damaged.UUID}
	at := epoch().Add(time.Hour)
	reconcile := func(o shield.Outcome) error {
		f.addTask(func(t *shield.Task) {
			t.Op, t.Target, t.Archive, t.Key, t.RemoveOrphans = shield.OpReconcile, "", "", "", true
		})
		task, l := f.claim(epoch())
		if !task.RemoveOrphans {
			t.Error("the task does not remove orphans")
		}
		o.StoppedAt = at
		if o.Status == "" {
			o.Status = shield.TaskDone
		}
		found := &shield.Reconciliation{Blobs: 7}
		found.Add(shield.Difference{Kind: shield.DiffMissing, Key: lost.Key, Archive: lost.UUID})
		o.Findings = &shield.Findings{Reconciliation: found}
		err := f.FinishTask(f.ctx, task.UUID, l, o)
		got, terr := f.Task(f.ctx, task.UUID)
		must(t, terr)
		if err == nil {
			wantSame(t, "findings", got.Findings, o.Findings)
		}
		return err
	}
	statuses := func() string {
		var all []string
		for _, a := range []*shield.Archive{lost, going, damaged} {
			got, err := f.Archive(f.ctx, a.UUID)
			must(t, err)
			text := string(got.Status)
			if !got.MissingAt.IsZero() {
				text += " missing"
			}
			all = append(all, text)
		}
		return strings.Join(all, ", ")
	}
	must(t, reconcile(shield.Outcome{Status: shield.TaskFailed, Missing: all}))
	wantSame(t, "after a failure", statuses(), "valid, purging, invalid")
	wantCode(t, reconcile(shield.Outcome{Missing: []string{lost.UUID, uuid.NewString()}}), shield.NotFound, "")
	wantSame(t, "after one that names what is not there", statuses(), "valid, purging, invalid")
	must(t, reconcile(shield.Outcome{Missing: all}))
	wantSame(t, "missing", statuses(), "invalid missing, purging, invalid")
	events, err := f.Events(f.ctx, shield.Filter{Limit: 3})
	wantSame(t, "events", column(t, events, err, func(e *shield.Event) string { return string(e.Kind) }),
		[]string{"task.ended", "store.reconciled", "archive.missing"})
	got, err := f.Archive(f.ctx, lost.UUID)
	must(t, err)
	if !got.MissingAt.Equal(at) {
		t.Errorf("missing since %s, want %s", got.MissingAt, at)
	}
	got.Notes = "where is it?"
	must(t, f.UpdateArchive(f.ctx, got))
	wantSame(t, "after a note", statuses(), "invalid missing, purging, invalid")
	must(t, reconcile(shield.Outcome{Found: all}))
	wantSame(t, "found", statuses(), "valid, purging, invalid")
	events, err = f.Events(f.ctx, shield.Filter{Limit: 3})
	must(t, err)
	if events[2].Kind != shield.EventArchiveFound || events[2].Subject != lost.UUID || !strings.HasSuffix(events[1].Message, "7 blobs of 0 bytes listed, 0 valid archives expected; 1 missing: "+lost.Key) {
		t.Errorf("events are %+v, %+v, %+v", events[0], events[1], events[2])
	}
}
