package scheduler_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// reschedule changes the schedule of the world's job. Synthetic time begins
// at 2000-01-01T00:00:00Z, a Saturday.
func (w *world) reschedule(change func(*shield.Schedule)) {
	w.t.Helper()
	s := must[*shield.Schedule](w.t)(w.catalog.Schedule(w.t.Context(), "nightly"))
	change(s)
	must[any](w.t)(nil, w.catalog.UpdateSchedule(w.t.Context(), s))
}

func TestBlackoutIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 60 minutes")
		w.reschedule(func(s *shield.Schedule) {
			s.Blackout = []string{"22:00 to 2:00", "saturdays 10:00 to 12:00", "sundays"}
		})
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(25*time.Hour + time.Minute)
		skipped := w.runs(shield.RunSkipped)
		if len(skipped) != 7 { // at 1, 10, 11, 22, 23 and, on sunday, 0 and 1
			t.Errorf("%d runs were skipped, want 7", len(skipped))
		}
		for _, r := range skipped {
			if !strings.HasPrefix(r.Reason, "blackout: ") {
				t.Errorf("the run due at %s was skipped because of %q", r.DueAt, r.Reason)
			}
		}
		if n := len(w.runs(shield.RunSucceeded)); n != 18 {
			t.Errorf("%d runs succeeded, want 18", n)
		}
	})
}

// TestCatchUpIsNotInABlackout: the run that is made up for would start in a
// window.
func TestCatchUpIsNotInABlackout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.reschedule(func(s *shield.Schedule) { s.Blackout = []string{"10:00 to 18:00"} })
		w.start(scheduler.Options{})
		time.Sleep(time.Minute)
		must[any](t)(nil, w.sched.Stop(t.Context()))
		time.Sleep(12 * time.Hour)
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(time.Minute)
		if n := len(w.tasks(shield.Filter{})); n != 0 {
			t.Errorf("%d tasks in a blackout window", n)
		}
		skipped := w.runs(shield.RunSkipped)
		if len(skipped) != 1 || skipped[0].Reason != "blackout: daily 10:00 to 18:00" {
			t.Errorf("got %d skipped runs, want the one of 4:00", len(skipped))
		}
	})
}

func TestJitterDelaysTheDueTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.reschedule(func(s *shield.Schedule) { s.Jitter = 7200 })
		for day := range 2 {
			time.Sleep(time.Until(time.Date(2000, 1, 1+day, 3, 30, 0, 0, time.UTC)))
			w.start(scheduler.Options{})
			time.Sleep(3 * time.Hour)
			must[any](t)(nil, w.sched.Stop(t.Context()))
		}
		defer w.stop()
		runs := w.runs(shield.RunSucceeded)
		if len(runs) != 2 {
			t.Fatalf("%d runs in two days, want 2", len(runs))
		}
		delay := timespec.Delay(w.job.UUID, 2*time.Hour)
		for _, r := range runs {
			if want := r.DueAt.Truncate(24 * time.Hour).Add(4*time.Hour + delay); !r.DueAt.Equal(want) {
				t.Errorf("a run was due at %s, want %s", r.DueAt, want)
			}
		}
	})
}

// TestDowntimeWithoutCatchUp: what was missed stays missed.
func TestDowntimeWithoutCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 60 minutes")
		w.reschedule(func(s *shield.Schedule) { s.CatchUp = shield.CatchUpNone })
		w.start(scheduler.Options{})
		time.Sleep(90 * time.Minute)
		must[any](t)(nil, w.sched.Stop(t.Context()))
		before := len(w.runs(shield.RunSucceeded))
		time.Sleep(24 * time.Hour)
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(5 * time.Second)
		if n := len(w.runs(shield.RunSucceeded)) - before; n != 0 {
			t.Errorf("%d runs were caught up, want none", n)
		}
		if n := len(w.runs(shield.RunMissed)); n != 24 {
			t.Errorf("%d runs were missed, want 24", n)
		}
		time.Sleep(time.Hour)
		if n := len(w.runs(shield.RunSucceeded)) - before; n != 1 {
			t.Errorf("%d runs in the hour after it, want 1", n)
		}
	})
}

// TestEveryMinute is what SHIELD_MODE=DEV asks for.
func TestEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "monthly 4:00 on 31st")
		w.reschedule(func(s *shield.Schedule) { s.Jitter, s.Blackout = 3600, []string{"daily 0:00 to 0:00"} })
		w.start(scheduler.Options{EveryMinute: true})
		defer w.stop()
		time.Sleep(5*time.Minute + 10*time.Second)
		if n := len(w.runs(shield.RunSucceeded)); n != 5 {
			t.Errorf("%d runs in five minutes, want 5", n)
		}
	})
}

// TestScheduleThatIsOver runs once and leaves nothing due.
func TestScheduleThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "2000-01-02 4:00")
		w.start(scheduler.Options{})
		time.Sleep(time.Minute)
		must[any](t)(nil, w.sched.Stop(t.Context()))
		time.Sleep(time.Until(time.Date(2000, 1, 2, 3, 30, 0, 0, time.UTC)))
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(3 * time.Hour)
		if n := len(w.runs(shield.RunSucceeded)); n != 1 {
			t.Errorf("%d runs, want 1", n)
		}
		if n := len(w.runs(shield.RunDue)); n != 0 {
			t.Errorf("%d runs are due, want none", n)
		}
	})
}

// TestClocksGoForward: the run of a time that does not exist is recorded and
// started once.
func TestClocksGoForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 2:30")
		w.reschedule(func(s *shield.Schedule) { s.Timezone = "America/New_York" })
		time.Sleep(time.Until(time.Date(2000, 4, 2, 5, 0, 0, 0, time.UTC)))
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(3 * time.Hour)
		runs := append(w.runs(shield.RunSucceeded), w.runs(shield.RunDue)...)
		want := []string{"2000-04-02T07:00:00Z", "2000-04-03T06:30:00Z"} // 3:00 for what would be 2:30, then 2:30
		if len(runs) != len(want) {
			t.Fatalf("got %d runs, want %d", len(runs), len(want))
		}
		for i, r := range runs {
			if got := r.DueAt.Format(time.RFC3339); got != want[i] {
				t.Errorf("run %d is due at %s, want %s", i, got, want[i])
			}
		}
	})
}
