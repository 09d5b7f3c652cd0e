package scheduler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// TestObjectiveMissedWhileOff: the daemon was off for long. It says so at its
// start, once, and says when the objective is met again.
func TestObjectiveMissedWhileOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 10 minutes")
		w.change(func(j *shield.Job) { j.RPO = 20 * 60 })
		w.start(scheduler.Options{})
		time.Sleep(25 * time.Minute) // backups at 0:10 and 0:20
		must[any](t)(nil, w.sched.Stop(t.Context()))
		time.Sleep(50 * time.Minute)
		if told := w.events(shield.EventJobBreached); len(told) > 0 {
			t.Fatalf("told %q", told[0].Message)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		told := w.events(shield.EventJobBreached)
		if len(told) != 1 || told[0].Subject != w.job.UUID || !strings.Contains(told[0].Message, "taken at 2000-01-01T00:20:") {
			t.Fatalf("told %+v, want one event", told)
		}
		time.Sleep(30 * time.Minute)
		if n := len(w.events(shield.EventJobBreached)); n != 1 {
			t.Errorf("%d events of one breach", n)
		}
		if n := len(w.events(shield.EventJobMet)); n != 1 {
			t.Errorf("%d events of an objective that is met again, want 1", n)
		}
	})
}

// TestObjectiveOfPausedJob: a pause is no excuse.
func TestObjectiveOfPausedJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.change(func(j *shield.Job) { j.RPO, j.Paused = 3600, true })
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(time.Hour)
		if n := len(w.events(shield.EventJobBreached)); n > 0 {
			t.Fatal("breached before its time")
		}
		time.Sleep(2 * time.Minute)
		told := w.events(shield.EventJobBreached)
		if len(told) != 1 || !strings.Contains(told[0].Message, "it never succeeded; it is paused") {
			t.Fatalf("told %+v", told)
		}
		j := must[*shield.Job](t)(w.catalog.Job(t.Context(), "nightly"))
		if !j.Breached || j.NextDue.IsZero() || !j.LastSuccess.IsZero() {
			t.Errorf("the job: breached %t, next due %v, last success %v", j.Breached, j.NextDue, j.LastSuccess)
		}
	})
}

// TestLimitsHold: ten jobs into two stores, of which one takes two tasks at
// once. Neither its limit nor the one in all is ever exceeded, the other store
// is not held up, and everything ends.
func TestLimitsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "2000-01-01 0:05")
		narrow := must[*shield.Store](t)(w.catalog.Store(t.Context(), "nightly"))
		narrow.MaxTasks = 2
		must[any](t)(nil, w.catalog.UpdateStore(t.Context(), narrow))
		for i := range 9 {
			j := w.addJob("job "+string(rune('a'+i)), "2000-01-01 0:05", 50)
			if i < 6 {
				j.Store = "nightly"
			}
			must[any](t)(nil, w.catalog.UpdateJob(t.Context(), j))
		}
		w.runner.RunFunc = slowRun(2 * time.Minute)
		w.start(scheduler.Options{Limit: 4})
		defer w.stop()
		time.Sleep(6 * time.Minute)
		most, mostNarrow, wide := 0, 0, 0
		for range 30 {
			running := w.tasks(shield.Filter{Statuses: []string{"running"}})
			inNarrow := 0
			for _, task := range running {
				if task.Store == narrow.UUID {
					inNarrow++
				}
			}
			most, mostNarrow = max(most, len(running)), max(mostNarrow, inNarrow)
			wide = max(wide, len(running)-inNarrow)
			time.Sleep(30 * time.Second)
		}
		if most != 4 || mostNarrow != 2 || wide < 2 {
			t.Errorf("at most %d tasks ran at once, %d of them with the store of two and %d with others; want 4, 2 and at least 2", most, mostNarrow, wide)
		}
		if n := len(w.runs(shield.RunSucceeded)); n != 10 {
			t.Errorf("%d of 10 runs succeeded in a quarter of an hour", n)
		}
	})
}
