package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// failing returns a runner whose backups fail the first n times. What purges
// remove is noted.
func failing(n int, err error, purged map[string]bool) func(context.Context, *shield.Task, shield.Monitor) (shield.TaskResult, error) {
	return func(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
		switch {
		case t.Op == shield.OpPurge:
			purged[t.Key] = true
		case n > 0:
			n--
			m.Log(shield.SourceTarget, fmt.Sprintf("failure with %d to go", n))
			return shield.TaskResult{Leftovers: []string{t.Key}}, err
		}
		return goodRun(ctx, t, m)
	}
}

// TestAttempts: a scheduled backup is tried again after 1 and 2 minutes, each
// time under another key, and all attempts are in its log.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "2000-01-01 0:05")
		purged := map[string]bool{}
		w.runner.RunFunc = failing(2, shield.Errorf(shield.Unavailable, "", "connection refused"), purged)
		w.start(scheduler.Options{Attempts: 3})
		defer w.stop()
		time.Sleep(5*time.Minute + 30*time.Second)
		synctest.Wait()
		open := w.tasks(shield.Filter{Op: shield.OpBackup})
		if len(open) != 1 || open[0].Status != shield.TaskPending || open[0].Attempts != 1 || open[0].Error != "connection refused" {
			t.Fatalf("after the first attempt: %+v", open)
		}
		if wait := open[0].NotBefore.Sub(open[0].RequestedAt); wait < time.Minute || wait > 80*time.Second {
			t.Errorf("the second attempt is %s later, want a minute and up to a quarter more", wait)
		}
		task := w.ended(open[0].UUID)
		if task.Status != shield.TaskDone || task.Attempts != 3 || task.MaxAttempts != 3 || task.Error != "" {
			t.Errorf("%s after %d attempts of %d: %q", task.Status, task.Attempts, task.MaxAttempts, task.Error)
		}
		if took := task.StoppedAt.Sub(task.RequestedAt); took < 3*time.Minute || took > 230*time.Second {
			t.Errorf("three attempts took %s, want 3 minutes and up to a quarter more", took)
		}
		for _, text := range []string{
			"failure with 1 to go", "failed: connection refused", "attempt 1 of 3 failed: the next one is at 2000-01-01T00:06:",
			"attempt 2 of 3 begins", "failure with 0 to go", "attempt 2 of 3 failed: the next one is at 2000-01-01T00:08:", "attempt 3 of 3 begins", "hello",
		} {
			if strings.Count(task.Log, text) != 1 && text != "failed: connection refused" || !strings.Contains(task.Log, text) {
				t.Errorf("the log lacks %q, or has it twice:\n%s", text, task.Log)
			}
		}
		a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), task.Archive))
		if len(purged) != 2 || purged[a.Key] || a.Key != task.Key || !strings.Contains(a.Key, a.UUID) {
			t.Errorf("the archive is under %s; %v was purged, want what the first two attempts left", a.Key, purged)
		}
		if n := len(w.runs(shield.RunSucceeded)); n != 1 {
			t.Errorf("%d runs succeeded, want the one", n)
		}
	})
}

// TestAttemptsEnd: which failures are tried again, and how often.
func TestAttemptsEnd(t *testing.T) {
	wrapped := &shield.Error{Code: shield.TargetFailed, Message: "target db failed", Err: shield.Errorf(shield.Unauthorized, "", "wrong password")}
	for _, c := range []struct {
		name     string
		err      error
		job      func(*shield.Job)
		opts     scheduler.Options
		byHand   bool
		attempts int
		log      string
	}{
		{"the last one", shield.Errorf(shield.TimedOut, "", "slow"), nil, scheduler.Options{Attempts: 3}, false, 3, "attempt 3 of 3 failed: it was the last one"},
		{"invalid", shield.FieldErrorf("endpoint.host", "is missing"), nil, scheduler.Options{Attempts: 3}, false, 1, "failed for good: invalid does not pass"},
		{"a cause that stays", wrapped, nil, scheduler.Options{Attempts: 3}, false, 1, "failed for good"},
		{"a foreign error", errors.New("oops"), nil, scheduler.Options{Attempts: 3}, false, 1, "failed for good"},
		{"no default", shield.Errorf(shield.Unavailable, "", "away"), nil, scheduler.Options{}, false, 1, "failed: away"},
		{"by hand", shield.Errorf(shield.Unavailable, "", "away"), nil, scheduler.Options{Attempts: 3}, true, 1, "failed: away"},
		{"by hand, the job says", shield.Errorf(shield.Unavailable, "", "away"), func(j *shield.Job) { j.Attempts = 2 }, scheduler.Options{Attempts: 3}, true, 2, "attempt 2 of 2"},
		{"the job says once", shield.Errorf(shield.Unavailable, "", "away"), func(j *shield.Job) { j.Attempts = 1 }, scheduler.Options{Attempts: 3}, false, 1, "failed: away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "2000-01-01 0:05")
				if c.job != nil {
					w.change(c.job)
				}
				w.runner.RunFunc = failing(100, c.err, map[string]bool{})
				w.start(c.opts)
				defer w.stop()
				if c.byHand {
					w.change(func(j *shield.Job) { j.Paused = true })
					w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
				}
				time.Sleep(15 * time.Minute)
				all := w.tasks(shield.Filter{Op: shield.OpBackup})
				if len(all) != 1 || all[0].Status != shield.TaskFailed || all[0].Attempts != c.attempts || all[0].ErrorCode != shield.CodeOf(c.err) {
					t.Fatalf("got %+v, want one that failed after %d attempts", all, c.attempts)
				}
				full := must[*shield.Task](t)(w.catalog.Task(t.Context(), all[0].UUID))
				if !strings.Contains(full.Log, c.log) {
					t.Errorf("the log lacks %q:\n%s", c.log, full.Log)
				}
			})
		})
	}
}

// TestBackoffOfJob: the pauses are the job's own, doubled, up to an hour.
func TestBackoffOfJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "2000-01-02 0:00")
		w.change(func(j *shield.Job) { j.Attempts, j.Backoff = 4, 1200 })
		var at []time.Time
		fail := failing(100, shield.Errorf(shield.StoreFailed, "", "full"), map[string]bool{})
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			if task.Op == shield.OpBackup {
				at = append(at, time.Now())
			}
			return fail(ctx, task, m)
		}
		w.start(scheduler.Options{Attempts: 3, Backoff: time.Second})
		defer w.stop()
		task := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
		time.Sleep(151 * time.Minute)
		task = w.ended(task.UUID)
		if task.Status != shield.TaskFailed || len(at) != 4 {
			t.Fatalf("%s after %d attempts, want 4", task.Status, len(at))
		}
		for i, want := range []time.Duration{20 * time.Minute, 40 * time.Minute, time.Hour} {
			if got := at[i+1].Sub(at[i]); got < want || got > want+want/4+time.Second {
				t.Errorf("pause %d is %s, want %s and up to a quarter more", i+1, got, want)
			}
		}
	})
}

// TestInterruptedIsTriedAgain: the daemon dies in the middle of a scheduled
// backup, and the next one tries again, under another key.
func TestInterruptedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.change(func(j *shield.Job) { j.Attempts = 2 })
		w.sched = scheduler.New(w.catalog, w.runner, nil)
		backup := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
		l := shield.Lease{Owner: "the dead", Expires: time.Now().Add(time.Hour)}
		claimed := must[*shield.Task](t)(w.catalog.ClaimTask(t.Context(), l, time.Now()))
		l.Epoch = claimed.LeaseEpoch
		must[any](t)(nil, w.catalog.RenewTask(t.Context(), backup.UUID, l, "so far"))
		w.start(scheduler.Options{Owner: "the heir", Exclusive: true})
		defer w.stop()
		task := w.ended(backup.UUID)
		if task.Status != shield.TaskDone || task.Attempts != 2 || task.Key == backup.Key {
			t.Errorf("%s after %d attempts under %s, want done after 2, not under %s", task.Status, task.Attempts, task.Key, backup.Key)
		}
		for _, text := range []string{"so far\n", "failed: interrupted", "attempt 1 of 2 failed: the next one is at", "attempt 2 of 2 begins"} {
			if !strings.Contains(task.Log, text) {
				t.Errorf("the log lacks %q:\n%s", text, task.Log)
			}
		}
		purges := w.tasks(shield.Filter{Op: shield.OpPurge})
		if len(purges) != 1 || purges[0].Key != backup.Key {
			t.Errorf("%d purges, want the one of what the first attempt left", len(purges))
		}
	})
}

// TestLogOfAttemptsIsBounded: a second attempt goes on with the log of the
// first, though that was cut, and with the numbers of its lines.
func TestLogOfAttemptsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.change(func(j *shield.Job) { j.Attempts = 2 })
		const lines = 8000
		first := true
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			for i := range lines {
				m.Log(shield.SourceTarget, fmt.Sprintf("line %d %t %s", i, first, strings.Repeat("x", 120)))
			}
			if first {
				first = false
				return shield.TaskResult{}, shield.Errorf(shield.Unavailable, "", "away")
			}
			return goodRun(ctx, task, m)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		task := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
		if len(task.Log) > 2<<20 || strings.Count(task.Log, "lines are cut here") != 1 {
			t.Errorf("the log has %d bytes and %d marks", len(task.Log), strings.Count(task.Log, "lines are cut here"))
		}
		for _, text := range []string{" line 0 true ", fmt.Sprintf(" line %d false ", lines-1)} {
			if !strings.Contains(task.Log, text) {
				t.Errorf("the log lacks %q", text)
			}
		}
		const all = 2*lines + 4 // the failure, the next attempt, its begin, hello
		if _, tail, next, err := w.sched.Follow(t.Context(), task.UUID, all-1, 0); err != nil || next != all || len(tail) != 1 {
			t.Errorf("following from the last line: %d lines, next %d, %v; want 1 and %d", len(tail), next, err, all)
		}
	})
}

// TestCancelBetweenAttempts ends a backup that waits for its next attempt.
func TestCancelBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.change(func(j *shield.Job) { j.Attempts = 9 })
		w.runner.RunFunc = failing(100, shield.Errorf(shield.Unavailable, "", "away"), map[string]bool{})
		w.start(scheduler.Options{})
		defer w.stop()
		task := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
		time.Sleep(10 * time.Second)
		must[any](t)(nil, w.sched.Cancel(t.Context(), task.UUID))
		if got := w.ended(task.UUID); got.Status != shield.TaskCanceled || got.Attempts != 1 || !strings.Contains(got.Log, "away") {
			t.Errorf("%s after %d attempts, log %q", got.Status, got.Attempts, got.Log)
		}
		time.Sleep(time.Hour)
		if n := len(w.tasks(shield.Filter{Op: shield.OpBackup})); n != 1 {
			t.Errorf("%d backups, want 1", n)
		}
	})
}
