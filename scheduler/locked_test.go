package scheduler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// lockedUntil is a runner whose store keeps every archive until a time, which
// it tells or not. It notes when it was asked to purge.
func (w *world) lockedUntil(until time.Time, tells bool) *[]time.Time {
	asked := &[]time.Time{}
	w.runner.RunFunc = func(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
		if t.Op != shield.OpPurge {
			return goodRun(ctx, t, m)
		}
		*asked = append(*asked, time.Now())
		if !time.Now().Before(until) {
			return shield.TaskResult{}, nil
		}
		e := &shield.Error{Code: shield.Locked, Message: "store nightly (fs): purging k: it is kept"}
		if tells {
			e.Until = until
		}
		return shield.TaskResult{}, e
	}
	return asked
}

// TestLockedPurge: a purge of what the store keeps is no failure. It waits, a
// day at most at a time, says until when, and the archive stays what it is.
func TestLockedPurge(t *testing.T) {
	for _, c := range []struct {
		name  string
		keeps time.Duration
		tells bool
		asked int
		says  string
	}{
		{"for some minutes", 20 * time.Minute, true, 2, "waits for the store, which keeps this until 2000-01-01T00:20:00Z"},
		{"nobody tells", 90 * time.Minute, false, 3, "waits for the store, which keeps this and does not tell until when"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "yearly on january 1st at 4:00")
				until := time.Now().Add(c.keeps)
				asked := w.lockedUntil(until, c.tells)
				w.start(scheduler.Options{})
				defer w.stop()
				a := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
				purge := w.submit(shield.Request{Op: shield.OpPurge, Archive: a, Owner: "ann"})
				time.Sleep(time.Minute)

				got := must[*shield.Task](t)(w.catalog.Task(t.Context(), purge.UUID))
				if !got.Waits() || !strings.HasPrefix(got.Error, c.says) || !strings.Contains(got.Log, c.says) || strings.Contains(got.Log, "failed") {
					t.Errorf("the task is %s, %s: %q, log %q", got.Status, got.ErrorCode, got.Error, got.Log)
				}
				if ahead := time.Until(got.NotBefore); ahead <= 0 || ahead > 24*time.Hour || !strings.Contains(got.Log, "is tried again at") {
					t.Errorf("it is tried again in %s: %q", ahead, got.Log)
				}
				if a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), a)); a.Status != shield.ArchivePurging {
					t.Errorf("the archive is %s", a.Status)
				}
				_, err := w.sched.Submit(t.Context(), shield.Request{Op: shield.OpPurge, Archive: a})
				if !errors.Is(err, shield.Conflict) || !strings.Contains(err.Error(), "which "+c.says) {
					t.Errorf("purging it again: %v", err)
				}

				time.Sleep(c.keeps + 40*time.Minute)
				if got := must[*shield.Task](t)(w.catalog.Task(t.Context(), purge.UUID)); got.Status != shield.TaskDone {
					t.Errorf("the task is %s: %s", got.Status, got.Error)
				}
				if a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), a)); a.Status != shield.ArchivePurged {
					t.Errorf("the archive is %s", a.Status)
				}
				if len(*asked) != c.asked {
					t.Errorf("the store was asked at %v, want %d times", *asked, c.asked)
				}
			})
		})
	}
}

// TestLongLock: a lock may be lifted, so the store is asked once a day.
func TestLongLock(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.lockedUntil(time.Now().Add(365*24*time.Hour), true)
	w.start(scheduler.Options{})
	defer w.stop()
	a := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
	purge := w.submit(shield.Request{Op: shield.OpPurge, Archive: a})
	for after := 0; ; {
		got, _, next, err := w.sched.Follow(t.Context(), purge.UUID, after, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if after = next; !got.Waits() {
			continue
		}
		if ahead := time.Until(got.NotBefore); ahead > 24*time.Hour || ahead < 23*time.Hour {
			t.Errorf("it is tried again in %s, want a day", ahead)
		}
		return
	}
}

// TestLockedExpiry: retention's own purge waits in the same way.
func TestLockedExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		asked := w.lockedUntil(time.Now().Add(80*time.Minute), true)
		w.start(scheduler.Options{})
		defer w.stop()
		old := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		time.Sleep(time.Minute)
		w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
		time.Sleep(65 * time.Minute) // the policy keeps archives for an hour
		purges := w.tasks(shield.Filter{Op: shield.OpPurge})
		if len(purges) != 1 || !purges[0].Waits() {
			t.Fatalf("%d purges, want one that waits", len(purges))
		}
		if a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), old)); a.Status != shield.ArchiveExpired {
			t.Errorf("the archive is %s", a.Status)
		}
		time.Sleep(30 * time.Minute)
		if a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), old)); a.Status != shield.ArchivePurged || len(*asked) != 2 {
			t.Errorf("the archive is %s, the store was asked at %v", a.Status, *asked)
		}
	})
}

// TestTargetTasks: a test and a probe need a target only, and what a task
// found out is kept, also if it failed.
func TestTargetTasks(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.runner.RunFunc = func(_ context.Context, task *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
		r := shield.TaskResult{Findings: &shield.Findings{Counts: map[string]int64{"rows": 7}}}
		if task.Op == shield.OpCheckStore {
			return r, shield.Errorf(shield.StoreFailed, "", "1 of 1 checks failed")
		}
		return r, nil
	}
	st := must[*shield.Store](t)(w.catalog.Store(t.Context(), "nightly"))
	st.Limit = shield.Limit{Up: "1MiB"}
	if err := w.catalog.UpdateStore(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	w.start(scheduler.Options{})
	defer w.stop()
	for _, r := range []shield.Request{
		{Op: shield.OpProbeTarget, Target: "nightly"}, {Op: shield.OpTestTarget, Target: "nightly"}, {Op: shield.OpCheckStore, Store: "nightly"},
	} {
		got := w.ended(w.submit(r).UUID)
		if got.Findings == nil || got.Findings.Counts["rows"] != 7 || (got.Status == shield.TaskDone) != (r.Store == "") {
			t.Errorf("%s is %s with %+v", r.Op, got.Status, got.Findings)
		}
		if (got.StoreLimit.Up == "1MiB") != (r.Store != "") {
			t.Errorf("%s has the limit %+v", r.Op, got.StoreLimit)
		}
	}
	for _, r := range []shield.Request{{Op: shield.OpProbeTarget}, {Op: shield.OpTestTarget}, {Op: shield.OpCheckStore}, {Op: "melt"}} {
		if _, err := w.sched.Submit(t.Context(), r); !errors.Is(err, shield.Invalid) {
			t.Errorf("%s of nothing: %v", r.Op, err)
		}
	}
}
