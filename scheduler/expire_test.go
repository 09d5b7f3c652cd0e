package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// valid returns which of the archives are, by their number.
func (w *world) valid(uuids []string) []int {
	w.t.Helper()
	var numbers []int
	for n, uuid := range uuids {
		if must[*shield.Archive](w.t)(w.catalog.Archive(w.t.Context(), uuid)).Status == shield.ArchiveValid {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// events returns those of a kind.
func (w *world) events(k shield.EventKind) []*shield.Event {
	w.t.Helper()
	all := must[[]*shield.Event](w.t)(w.catalog.Events(w.t.Context(), shield.Filter{}))
	return slices.DeleteFunc(all, func(e *shield.Event) bool { return e.Kind != k })
}

// TestKept: rules and holds keep archives beyond their expiry, an hour here,
// and what they no longer keep is purged.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		policy := must[*shield.Policy](t)(w.catalog.Policy(t.Context(), "nightly"))
		policy.KeepLast = 2
		if err := w.catalog.UpdatePolicy(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		var made []string
		for range 4 {
			made = append(made, w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive)
			time.Sleep(time.Minute)
		}
		hold := func(held bool) {
			a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), made[0]))
			a.Held = held
			if err := w.catalog.UpdateArchive(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		hold(true)
		if _, err := w.sched.Submit(t.Context(), shield.Request{Op: shield.OpPurge, Archive: made[0]}); !errors.Is(err, shield.Conflict) {
			t.Errorf("purge of a held archive: %v", err)
		}
		time.Sleep(2 * time.Hour)
		if got := w.valid(made); !slices.Equal(got, []int{0, 2, 3}) {
			t.Errorf("archives %v are valid, want the one that is held and the last two", got)
		}
		hold(false)
		policy.KeepLast = 0
		policy.Version = 0
		if err := w.catalog.UpdatePolicy(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if got := w.valid(made); !slices.Equal(got, []int{3}) {
			t.Errorf("archives %v are valid, want the newest", got)
		}
	})
}

// TestRestoredIsNotPurged: neither by retention nor on request.
func TestRestoredIsNotPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		resume := make(chan struct{})
		run := w.runner.RunFunc
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			if task.Op == shield.OpRestore {
				<-resume
				return shield.TaskResult{}, nil
			}
			return run(ctx, task, m)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		var made []string
		for range 2 {
			made = append(made, w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive)
			time.Sleep(time.Minute)
		}
		restore := w.submit(shield.Request{Op: shield.OpRestore, Archive: made[0], Confirm: "nightly"})
		time.Sleep(2 * time.Hour)
		if _, err := w.sched.Submit(t.Context(), shield.Request{Op: shield.OpPurge, Archive: made[0]}); !errors.Is(err, shield.Conflict) {
			t.Errorf("purge of an archive that is being restored: %v", err)
		}
		if purges := w.tasks(shield.Filter{Op: shield.OpPurge}); len(purges) > 0 {
			t.Errorf("%d purges while the archive is being restored", len(purges))
		}
		close(resume)
		w.ended(restore.UUID)
		time.Sleep(time.Hour)
		if a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), made[0])); a.Status != shield.ArchivePurged {
			t.Errorf("the archive is %s after its restore", a.Status)
		}
	})
}

// TestNewestIsReviewedWhenItIsNot: an archive that was kept because it was the
// newest goes soon after there is a newer one, whenever retention looked at it.
func TestNewestIsReviewedWhenItIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		policy := must[*shield.Policy](t)(w.catalog.Policy(t.Context(), "nightly"))
		policy.Expiry = 1
		if err := w.catalog.UpdatePolicy(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		var made []string
		for n := range 4 {
			made = append(made, w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive)
			time.Sleep(3 * time.Minute) // which retention looks at several times
			if left := w.valid(made); !slices.Equal(left, []int{n}) {
				t.Fatalf("after backup %d there are %v", n, left)
			}
		}
	})
}
