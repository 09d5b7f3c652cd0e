package scheduler_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// change edits the world's job.
func (w *world) change(edit func(*shield.Job)) {
	w.t.Helper()
	j := must[*shield.Job](w.t)(w.catalog.Job(w.t.Context(), "nightly"))
	edit(j)
	must[any](w.t)(nil, w.catalog.UpdateJob(w.t.Context(), j))
}

// slowRun takes so long, unless it is canceled.
func slowRun(d time.Duration) func(context.Context, *shield.Task, shield.Monitor) (shield.TaskResult, error) {
	return func(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
		select {
		case <-time.After(d):
			return goodRun(ctx, t, m)
		case <-ctx.Done():
			return shield.TaskResult{}, context.Cause(ctx)
		}
	}
}

// TestOverlapIsQueued: one run waits for the end of the one before, those
// after it are skipped, and never do two run at once.
func TestOverlapIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 2 minutes")
		w.runner.RunFunc = slowRun(5 * time.Minute)
		w.change(func(j *shield.Job) { j.Overlap = shield.OverlapQueue })
		w.start(scheduler.Options{})
		defer w.stop()

		time.Sleep(4*time.Minute + 10*time.Second) // due at 2 and 4
		started := w.runs(shield.RunStarted)
		if len(started) != 2 || !strings.HasPrefix(started[0].Reason, "waits for task "+started[1].Task) {
			t.Fatalf("started %+v, want two, of which the second waits for the first", started)
		}
		time.Sleep(2 * time.Minute) // due at 6
		skipped := w.runs(shield.RunSkipped)
		if len(skipped) != 1 || skipped[0].Reason != "task "+started[0].Task+" of the same job waits already" {
			t.Fatalf("skipped %+v, want the third run, since one waits already", skipped)
		}
		if told := w.events(shield.EventRunSkipped); len(told) != 1 || !strings.Contains(told[0].Message, "waits already") {
			t.Errorf("%d events of one skipped run", len(told))
		}
		time.Sleep(36 * time.Minute)
		synctest.Wait()
		if n := len(w.tasks(shield.Filter{Statuses: []string{"running"}, Op: shield.OpBackup})); n > 1 {
			t.Errorf("%d backups of one job run at once", n)
		}
		// One after another, without a pause: 8 of them in the 40 minutes
		// since the first began.
		if n := len(w.runs(shield.RunSucceeded)); n != 8 {
			t.Errorf("%d runs succeeded, want 8", n)
		}
	})
}

// TestOverlapReplaces: the backup that has not ended is canceled with the
// reason, cleans up, and only then the new one runs.
func TestOverlapReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 10 minutes")
		w.change(func(j *shield.Job) { j.Overlap = shield.OverlapReplace })
		cleaning := 0
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			if cleaning > 0 {
				t.Error("the next one runs while the one before cleans up")
			}
			select {
			case <-time.After(15 * time.Minute):
				return goodRun(ctx, task, m)
			case <-ctx.Done():
			}
			cleaning++
			time.Sleep(time.Minute)
			cleaning--
			return shield.TaskResult{}, context.Cause(ctx)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(21*time.Minute + 30*time.Second)
		synctest.Wait()
		first := w.tasks(shield.Filter{Statuses: []string{"canceled"}})
		if len(first) != 1 || first[0].Error != "replaced by the run due at 2000-01-01T00:20:00Z" {
			t.Fatalf("canceled %+v, want the first backup with the reason", first)
		}
		failed := w.runs(shield.RunFailed)
		if len(failed) != 1 || failed[0].Reason != first[0].Error || failed[0].Task != first[0].UUID {
			t.Errorf("its run: %+v", failed)
		}
		next := w.runs(shield.RunStarted)
		if len(next) != 1 || next[0].Reason != "replaces task "+first[0].UUID+" of the same job" {
			t.Errorf("the run that replaces it: %+v", next)
		}
		running := w.tasks(shield.Filter{Statuses: []string{"running"}})
		if len(running) != 1 || running[0].UUID != next[0].Task || running[0].StartedAt.Minute() != 21 {
			t.Errorf("running: %+v, want the new one, since the old one has cleaned up at 21", running)
		}
	})
}

// TestOverlapReplacesWhatWaits: a backup that has not begun, since its store
// is full, is replaced, too.
func TestOverlapReplacesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 10 minutes")
		w.change(func(j *shield.Job) { j.Overlap = shield.OverlapReplace })
		st := must[*shield.Store](t)(w.catalog.Store(t.Context(), "nightly"))
		st.MaxTasks = 1
		must[any](t)(nil, w.catalog.UpdateStore(t.Context(), st))
		w.runner.RunFunc = slowRun(45 * time.Minute)
		w.start(scheduler.Options{})
		defer w.stop()
		w.submit(shield.Request{Op: shield.OpTestStore, Store: "nightly"})
		time.Sleep(41 * time.Minute)
		canceled := w.tasks(shield.Filter{Statuses: []string{"canceled"}})
		if len(canceled) != 3 || !strings.HasPrefix(canceled[0].Error, "replaced by the run due at ") || canceled[0].Attempts != 0 {
			t.Errorf("%d tasks that waited were replaced, want 3", len(canceled))
		}
		time.Sleep(5 * time.Minute)
		running := w.tasks(shield.Filter{Statuses: []string{"running"}, Op: shield.OpBackup})
		if len(running) != 1 || running[0].RequestedAt.Minute() != 40 {
			t.Errorf("running %+v, want the backup of 0:40", running)
		}
	})
}
