package scheduler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// sized is a runner whose backups give so many bytes each; purges fail as often
// as they are told to.
type sized struct {
	raw    int64
	before func(t *shield.Task) error
}

func (r *sized) run(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	if r.before != nil {
		if err := r.before(t); err != nil {
			return shield.TaskResult{}, err
		}
	}
	result, err := goodRun(ctx, t, m)
	if result.Archive != nil {
		result.Archive.RawSize = r.raw
	}
	return result, err
}

func (w *world) archive(uuid string) *shield.Archive {
	w.t.Helper()
	return must[*shield.Archive](w.t)(w.catalog.Archive(w.t.Context(), uuid))
}

func (w *world) acknowledge(uuid string) {
	w.t.Helper()
	a := w.archive(uuid)
	a.AcknowledgedAt, a.AcknowledgedBy = time.Now(), "ann"
	if err := w.catalog.UpdateArchive(w.t.Context(), a); err != nil {
		w.t.Fatal(err)
	}
}

// backup makes an archive of so many bytes, and waits a minute.
func (w *world) backup(r *sized, raw int64) string {
	w.t.Helper()
	r.raw = raw
	task := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
	if task.Status != shield.TaskDone {
		w.t.Fatalf("backup %s: %s", task.Status, task.Error)
	}
	time.Sleep(time.Minute)
	return task.Archive
}

// TestSuspicious lives through what happens with a backup that is far smaller:
// nothing is purged until somebody looks.
func TestSuspicious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		r := &sized{}
		w.runner.RunFunc = r.run
		w.start(scheduler.Options{})
		defer w.stop()
		var made []string
		for range 3 {
			made = append(made, w.backup(r, 10<<20))
		}
		small := w.backup(r, 1<<20)
		made = append(made, small)
		a := w.archive(small)
		if a.Status != shield.ArchiveValid || !a.Suspicious() || !strings.Contains(a.Suspicion, "1048576 bytes, less than half of the 10485760") {
			t.Fatalf("the archive is %s, %q", a.Status, a.Suspicion)
		}
		told := w.events(shield.EventArchiveSuspicious)
		if len(told) != 1 || told[0].Subject != small || !strings.Contains(told[0].Message, a.Suspicion) {
			t.Errorf("events %+v", told)
		}
		backups := w.tasks(shield.Filter{Op: shield.OpBackup, Limit: 1})
		if full := must[*shield.Task](t)(w.catalog.Task(t.Context(), backups[0].UUID)); !strings.Contains(full.Log, "SUSPICIOUS: archive "+small) {
			t.Errorf("log %q", full.Log)
		}
		// The next one is as small: it is suspicious, too, and not the new normal.
		second := w.backup(r, 1<<20)
		made = append(made, second)
		if !w.archive(second).Suspicious() {
			t.Error("the second small archive is taken for normal")
		}
		time.Sleep(3 * time.Hour) // all have expired
		if got := w.valid(made); len(got) != 5 {
			t.Errorf("archives %v are valid, want all", got)
		}
		_, err := w.sched.Submit(t.Context(), shield.Request{Op: shield.OpPurge, Archive: made[0]})
		if !errors.Is(err, shield.Conflict) || !strings.Contains(err.Error(), "acknowledge or delete that one first") {
			t.Errorf("purge by hand of another archive: %v", err)
		}
		// One of the two is deleted, the other still freezes.
		if task := w.ended(w.submit(shield.Request{Op: shield.OpPurge, Archive: small}).UUID); task.Status != shield.TaskDone {
			t.Errorf("purge of the suspicious archive: %s", task.Error)
		}
		time.Sleep(3 * time.Hour)
		if got := w.valid(made); !slices.Equal(got, []int{0, 1, 2, 4}) {
			t.Errorf("archives %v are valid, want all but the deleted one", got)
		}
		w.acknowledge(second)
		time.Sleep(2 * time.Hour)
		if got := w.valid(made); !slices.Equal(got, []int{4}) {
			t.Errorf("archives %v are valid, want the newest, which is acknowledged", got)
		}
		if told := w.events(shield.EventArchiveAcknowledged); len(told) != 1 || !strings.Contains(told[0].Message, "by ann") {
			t.Errorf("events %+v", told)
		}
	})
}

// another makes a job beside the world's own, of the same target, store,
// schedule and policy.
func (w *world) another(name string) {
	w.t.Helper()
	j := &shield.Job{Meta: shield.Meta{Name: name}, Target: "nightly", Store: "nightly", Schedule: "nightly", Policy: "nightly", Priority: 50}
	must[any](w.t)(nil, w.catalog.CreateJob(w.t.Context(), j))
}

// TestSuspiciousAlone: a job without its policy's rules, and even one that is
// gone, is frozen, too; other jobs of the target keep their newest good one.
func TestSuspiciousAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		w.another("other")
		r := &sized{raw: 10 << 20}
		w.runner.RunFunc = r.run
		w.start(scheduler.Options{})
		defer w.stop()
		var theirs []string
		for range 2 {
			theirs = append(theirs, w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "other"}).UUID).Archive)
			time.Sleep(time.Minute)
		}
		mine := []string{w.backup(r, 10<<20), w.backup(r, 0)}
		must[any](t)(nil, w.catalog.DeleteJob(t.Context(), "nightly"))
		time.Sleep(3 * time.Hour)
		if got := w.valid(mine); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("archives %v of the frozen job are valid, want both", got)
		}
		// mine[0] is the newest good one of the target, so theirs go.
		if got := w.valid(theirs); len(got) != 0 {
			t.Errorf("archives %v of the other job are valid, want none", got)
		}
	})
}

// TestSuspiciousStandsInForNone: all that a job has, but the newest is
// suspicious: another job's archive of the target stays the last good one.
func TestSuspiciousStandsInForNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		w.another("other")
		r := &sized{raw: 10 << 20}
		w.runner.RunFunc = r.run
		w.start(scheduler.Options{})
		defer w.stop()
		first := w.backup(r, 10<<20)
		theirs := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "other"}).UUID).Archive
		time.Sleep(time.Minute)
		empty := w.backup(r, 0)
		time.Sleep(3 * time.Hour)
		if got := w.valid([]string{first, theirs, empty}); len(got) != 3 {
			t.Errorf("archives %v are valid, want all", got)
		}
	})
}

// TestFreezeSparesWhatWaits: purges that wait for their turn when an archive
// becomes suspicious do not happen; those that were tried go on.
func TestFreezeSparesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		r := &sized{}
		w.runner.RunFunc = r.run
		w.start(scheduler.Options{Limit: 1})
		defer w.stop()
		first, second := w.backup(r, 10<<20), w.backup(r, 10<<20)
		r.raw = 0
		r.before = func(task *shield.Task) error { // while the backup runs, as the only task that can, the purge is queued
			if task.Op != shield.OpBackup {
				return nil
			}
			a := w.archive(first)
			a.Status, a.PurgeReason = shield.ArchiveExpired, "expired"
			must[any](t)(nil, w.catalog.UpdateArchive(context.Background(), a))
			_, err := w.sched.Submit(context.Background(), shield.Request{Op: shield.OpPurge, Archive: first, Reason: "expired"})
			if err != nil && !errors.Is(err, shield.Conflict) { // retention may have been faster
				t.Error(err)
			}
			return nil
		}
		empty := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		time.Sleep(5 * time.Minute)
		if got := w.valid([]string{first, second, empty}); len(got) != 3 {
			t.Errorf("archives %v are valid, want all", got)
		}
		purges := w.tasks(shield.Filter{Op: shield.OpPurge})
		if len(purges) != 1 || purges[0].Status != shield.TaskCanceled || !strings.Contains(purges[0].Error, "has become suspicious") {
			t.Errorf("the purge is %+v", purges)
		}
		if a := w.archive(first); a.PurgeReason != "" {
			t.Errorf("the spared archive has the reason %q", a.PurgeReason)
		}
	})
}
