package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// finds is a runner whose reconciliations find what it is told.
type finds struct {
	result func(t *shield.Task) (shield.TaskResult, error)
	seen   *shield.Inventory
}

func (f *finds) run(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	switch {
	case t.Op == shield.OpReconcile:
		f.seen = t.Inventory
		return f.result(t)
	case t.Op == shield.OpBackup && t.JobName == "fails":
		return shield.TaskResult{}, shield.Errorf(shield.TargetFailed, "", "the dump died")
	}
	return goodRun(ctx, t, m)
}

// strays makes a result of strays.
func strays(all ...shield.Stray) func(*shield.Task) (shield.TaskResult, error) {
	return func(*shield.Task) (shield.TaskResult, error) {
		return shield.TaskResult{Strays: all, Findings: &shield.Findings{Reconciliation: &shield.Reconciliation{}}}, nil
	}
}

// keyOf is the key of a backup of some time ago, of a random archive unless one
// is given.
func keyOf(ago time.Duration, archive ...string) string {
	if len(archive) == 0 {
		archive = []string{uuid.NewString()}
	}
	at := time.Now().Add(-ago).UTC()
	return fmt.Sprintf("%s/%s-%s", at.Format("2006/01/02"), at.Format("2006-01-02-150405"), archive[0])
}

// TestReconcileOrphans: what is an orphan, and which of them are removed.
func TestReconcileOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		w.addJob("fails", "yearly on january 1st at 4:00", 50)
		f := &finds{}
		w.runner.RunFunc = f.run
		w.start(scheduler.Options{Reveal: func(t *shield.Task) error {
			t.StoreEndpoint = shield.Endpoint(`{"password":"plain"}`)
			return nil
		}})
		defer w.stop()
		must[any](t)(nil, retarget(w, "fails", "nightly"))
		failed := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "fails"}).UUID).Archive
		wholeFailed := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "fails"}).UUID).Archive
		purged := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		held := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		w.ended(w.submit(shield.Request{Op: shield.OpPurge, Archive: purged}).UUID)

		const day = 24 * time.Hour
		old, young := time.Now().Add(-3*day), time.Now().Add(-day)
		random := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		for _, tt := range []struct {
			name    string
			stray   shield.Stray
			kind    shield.DifferenceKind
			removed bool
			text    string
		}{
			{"of a failed backup", shield.Stray{Key: keyOf(3*day, failed), Blob: true, ModifiedAt: old}, shield.DiffOrphan, true, "did not get done; it is being removed"},
			{"its manifest alone", shield.Stray{Key: keyOf(3*day, failed), Manifest: true, ModifiedAt: old}, shield.DiffOrphan, true, ""},
			{"the store tells no time", shield.Stray{Key: keyOf(3*day, failed), Blob: true}, shield.DiffOrphan, true, ""},
			{"a young blob", shield.Stray{Key: keyOf(3*day, failed), Blob: true, ModifiedAt: young}, shield.DiffOrphan, false, "not older than a day"},
			{"a young key", shield.Stray{Key: keyOf(day, failed), Blob: true}, shield.DiffOrphan, false, "not older than a day"},
			{"a clock that is wrong", shield.Stray{Key: keyOf(day, failed), Blob: true, ModifiedAt: old}, shield.DiffOrphan, false, "not older than a day"},
			{"whole, of a failed backup", shield.Stray{Key: keyOf(3*day, wholeFailed), Blob: true, Manifest: true, Signer: shield.SignerOwn, ModifiedAt: old}, shield.DiffUnrecorded, false, "not removed"},
			{"of a purged archive", shield.Stray{Key: keyOf(3*day, purged), Blob: true, Manifest: true, Signer: shield.SignerOwn, ModifiedAt: old}, shield.DiffOrphan, true, "was purged: deleted by system"},
			{"of an archive elsewhere", shield.Stray{Key: keyOf(4*day, held), Blob: true, ModifiedAt: old}, shield.DiffForeign, false, "has in store nightly"},
			{"whole, of a lost catalog", shield.Stray{Key: keyOf(3 * day), Blob: true, Manifest: true, Signer: shield.SignerOwn, ModifiedAt: old}, shield.DiffUnrecorded, false, "restore it by hand"},
			{"of another daemon", shield.Stray{Key: keyOf(3 * day), Blob: true, Manifest: true, Signer: shield.SignerOther, ModifiedAt: old}, shield.DiffForeign, false, "another daemon's"},
			{"too many to read", shield.Stray{Key: keyOf(3 * day), Blob: true, Manifest: true, ModifiedAt: old}, shield.DiffForeign, false, "nobody has read"},
			{"unknown, without a manifest", shield.Stray{Key: keyOf(3 * day), Blob: true, ModifiedAt: old}, shield.DiffForeign, false, "may be another daemon's"},
			{"a test's", shield.Stray{Key: "shield-test/" + random, Blob: true, ModifiedAt: old}, shield.DiffOrphan, true, "left by a test"},
			{"a check's", shield.Stray{Key: "plugintest/" + random + "/a/b", Blob: true, ModifiedAt: old}, shield.DiffOrphan, true, "left by a test"},
			{"a test's, of no time", shield.Stray{Key: "shield-test/" + random, Blob: true}, shield.DiffOrphan, false, "does not tell how old"},
			{"a check's, no text", shield.Stray{Key: "plugintest/" + random + "/\xff", Blob: true, ModifiedAt: old}, shield.DiffOrphan, false, "cannot be removed"},
			{"like a test's", shield.Stray{Key: "shield-test/mine", Blob: true, ModifiedAt: old}, shield.DiffForeign, false, "no key of shield's"},
			{"of others", shield.Stray{Key: "holiday.jpg", Blob: true, ModifiedAt: old}, shield.DiffForeign, false, "no key of shield's"},
			{"below a folder", shield.Stray{Key: "x/" + keyOf(3*day, failed), Blob: true, ModifiedAt: old}, shield.DiffForeign, false, "no key of shield's"},
			{"on another day", shield.Stray{Key: strings.Replace(keyOf(3*day, failed), "1999/", "2001/", 1), Blob: true, ModifiedAt: old}, shield.DiffForeign, false, "no key of shield's"},
		} {
			f.result = strays(tt.stray)
			for _, remove := range []bool{false, true} {
				purges := len(w.tasks(shield.Filter{Op: shield.OpPurge}))
				task := w.ended(w.submit(shield.Request{Op: shield.OpReconcile, Store: "nightly", RemoveOrphans: remove}).UUID)
				if task.Status != shield.TaskDone {
					t.Fatalf("%s: the task is %s: %s", tt.name, task.Status, task.Error)
				}
				r := task.Findings.Reconciliation
				d := r.Differences[0]
				if d.Kind != tt.kind || r.Counts[tt.kind] != 1 || remove && !strings.Contains(d.Text, tt.text) {
					t.Errorf("%s: got %s, %q, want %s with %q", tt.name, d.Kind, d.Text, tt.kind, tt.text)
				}
				queued := w.tasks(shield.Filter{Op: shield.OpPurge})
				want := remove && tt.removed
				if got := len(queued) - purges; (got == 1) != want || d.Removing != want || (r.Removing == 1) != want {
					t.Errorf("%s, remove %v: %d purges, removing %v; want %v", tt.name, remove, got, d.Removing, want)
				}
				if want && (queued[0].Key != tt.stray.Key || queued[0].ManifestKey != tt.stray.Key+shield.ManifestSuffix || queued[0].Archive != "") {
					t.Errorf("%s: the purge is of %q and %q", tt.name, queued[0].Key, queued[0].ManifestKey)
				}
				if want && strings.Contains(string(queued[0].StoreEndpoint), "plain") {
					t.Errorf("%s: the purge keeps the secret in the clear", tt.name)
				}
				if want {
					w.ended(queued[0].UUID)
				}
			}
		}
		if a := w.archive(held); a.Status != shield.ArchiveValid {
			t.Errorf("the archive is %s", a.Status)
		}
	})
}

// retarget gives a job the store of another.
func retarget(w *world, job, store string) error {
	j := must[*shield.Job](w.t)(w.catalog.Job(w.t.Context(), job))
	j.Store = store
	return w.catalog.UpdateJob(w.t.Context(), j)
}

// TestReconcileMeanwhile: what happens while a store is listed is no difference.
func TestReconcileMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		f := &finds{}
		w.runner.RunFunc = f.run
		w.start(scheduler.Options{})
		defer w.stop()
		gone := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		lost := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		f.result = func(*shield.Task) (shield.TaskResult, error) {
			made := w.archive(w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive)
			w.ended(w.submit(shield.Request{Op: shield.OpPurge, Archive: gone}).UUID)
			r, err := strays(shield.Stray{Key: made.Key, Blob: true}, shield.Stray{Key: made.Key, Blob: true, Manifest: true})(nil)
			for _, a := range []string{gone, lost} {
				r.Missing = append(r.Missing, a)
				r.Findings.Reconciliation.Add(shield.Difference{Kind: shield.DiffMissing, Key: "k", Archive: a})
			}
			return r, err
		}
		task := w.ended(w.submit(shield.Request{Op: shield.OpReconcile, Store: "nightly", RemoveOrphans: true}).UUID)
		r := task.Findings.Reconciliation
		if len(r.Differences) != 1 || r.Differences[0].Archive != lost || r.Counts[shield.DiffMissing] != 1 {
			t.Errorf("differences %+v, counts %v", r.Differences, r.Counts)
		}
		var held []string
		for _, h := range f.seen.Held {
			held = append(held, h.Archive)
		}
		if diff := cmp.Diff(map[string]bool{gone: true, lost: true}, f.seen.Tried); diff != "" || len(held) != 2 {
			t.Errorf("the inventory has %q and (-want +got):\n%s", held, diff)
		}
		if a := w.archive(gone); a.Status != shield.ArchivePurged {
			t.Errorf("the archive that was purged meanwhile is %s", a.Status)
		}
		if a := w.archive(lost); a.Status != shield.ArchiveInvalid || a.MissingAt.IsZero() {
			t.Errorf("the missing archive is %s since %s", a.Status, a.MissingAt)
		}
		told := w.events(shield.EventStoreReconciled)
		if len(told) != 1 || told[0].Subject != task.Store || !strings.Contains(told[0].Message, "1 missing: k") {
			t.Errorf("events %+v", told)
		}
		if told := w.events(shield.EventArchiveMissing); len(told) != 1 || told[0].Subject != lost {
			t.Errorf("events %+v", told)
		}
	})
}

// TestReconcileFails: a failure marks nothing, and one at a time is enough.
func TestReconcileFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		f := &finds{}
		w.runner.RunFunc = f.run
		w.start(scheduler.Options{})
		defer w.stop()
		a := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		again := make(chan error, 1)
		f.result = func(*shield.Task) (shield.TaskResult, error) {
			_, err := w.sched.Submit(context.Background(), shield.Request{Op: shield.OpReconcile, Store: "nightly"})
			again <- err
			return shield.TaskResult{Missing: []string{a}}, shield.Errorf(shield.StoreFailed, "", "is this the right folder?")
		}
		task := w.ended(w.submit(shield.Request{Op: shield.OpReconcile, Store: "nightly"}).UUID)
		if task.Status != shield.TaskFailed || !strings.Contains(task.Error, "the right folder") {
			t.Errorf("the task is %s: %s", task.Status, task.Error)
		}
		if got := w.archive(a); got.Status != shield.ArchiveValid || !got.MissingAt.IsZero() {
			t.Errorf("the archive is %s", got.Status)
		}
		if err := <-again; !errors.Is(err, shield.Conflict) || !strings.Contains(err.Error(), "reconciled already, by task "+task.UUID) {
			t.Errorf("a second one at once: %v", err)
		}
		for _, r := range []shield.Request{{Op: shield.OpReconcile}, {Op: shield.OpReconcile, Store: "nowhere"}} {
			if _, err := w.sched.Submit(t.Context(), r); err == nil {
				t.Errorf("%+v is accepted", r)
			}
		}
	})
}
