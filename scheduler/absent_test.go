package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// TestRunsOfAnAbsentAgentAreMissed: while the agent of a target is away its
// runs are missed, with the reason, and when it is back they start again.
func TestRunsOfAnAbsentAgentAreMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 10 minutes")
		j := must[*shield.Job](t)(w.catalog.Job(t.Context(), "nightly"))
		target := must[*shield.Target](t)(w.catalog.Target(t.Context(), j.Target))
		target.Agent = "web1"
		must[any](t)(nil, w.catalog.UpdateTarget(t.Context(), target))
		back := time.Now().Add(35 * time.Minute)
		w.start(scheduler.Options{Absent: func(_ context.Context, agent string) (string, error) {
			switch {
			case agent != "web1":
				return "", errors.New("another agent than that of the target")
			case time.Now().Before(back):
				return "agent web1 is away", nil
			}
			return "", nil
		}})
		defer w.stop()
		time.Sleep(51 * time.Minute)
		missed := w.runs(shield.RunMissed)
		if len(missed) != 3 || missed[0].Reason != "agent web1 is away" {
			t.Errorf("missed: %+v, want those of the first half hour", missed)
		}
		if told := w.events(shield.EventRunMissed); len(told) != 3 {
			t.Errorf("%d events of three missed runs", len(told))
		}
		if n := len(w.runs(shield.RunSucceeded)); n != 2 {
			t.Errorf("%d runs succeeded, want 2", n)
		}
	})
}

// TestDisown: what an attempt has stored that was given up is purged, what its
// task has ended with is not.
func TestDisown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly")
		w.start(scheduler.Options{})
		defer w.stop()
		task := must[*shield.Task](t)(w.sched.Submit(t.Context(), shield.Request{Op: shield.OpBackup, Job: "nightly"}))
		time.Sleep(time.Second)
		task = must[*shield.Task](t)(w.catalog.Task(t.Context(), task.UUID))
		for _, c := range []struct {
			task  string
			epoch int64
			key   string
			want  int // purges in all
		}{
			{task.UUID, task.LeaseEpoch, task.Key, 0},
			{task.UUID, task.LeaseEpoch - 1, task.Key, 0},
			{"0f9b2a0e-0000-4000-8000-000000000000", 1, "k", 0},
			{task.UUID, task.LeaseEpoch - 1, "another", 1},
		} {
			must[any](t)(nil, w.sched.Disown(t.Context(), c.task, c.epoch, []string{c.key}))
			time.Sleep(time.Second)
			purges := w.tasks(shield.Filter{Op: shield.OpPurge})
			if len(purges) != c.want || c.want > 0 && (purges[0].Key != c.key || purges[0].Store != task.Store || purges[0].Agent != "") {
				t.Errorf("disowning %s of epoch %d: %+v, want %d purges", c.key, c.epoch, purges, c.want)
			}
		}
	})
}

// TestLeftoverOfAnother: the purge of what an attempt is said to have left does
// not remove what an archive has.
func TestLeftoverOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly")
		w.start(scheduler.Options{})
		defer w.stop()
		done := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
		kept := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), done.Archive))
		other := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
		must[any](t)(nil, w.sched.Disown(t.Context(), other.UUID, other.LeaseEpoch-1, []string{kept.Key, "left"}))
		time.Sleep(time.Second)
		status := map[string]shield.TaskStatus{}
		for _, p := range w.tasks(shield.Filter{Op: shield.OpPurge}) {
			status[p.Key] = w.ended(p.UUID).Status
		}
		if status[kept.Key] != shield.TaskCanceled || status["left"] != shield.TaskDone {
			t.Errorf("the purges are %v", status)
		}
	})
}
