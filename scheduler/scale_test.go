package scheduler_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// due returns when the runs of a job are due, in order.
func (w *world) due(job string) []time.Time {
	w.t.Helper()
	var at []time.Time
	for _, r := range must[[]*shield.Run](w.t)(w.catalog.Runs(w.t.Context(), shield.Filter{Job: job, Statuses: []string{string(shield.RunDue)}})) {
		at = append(at, r.DueAt)
	}
	return at
}

// TestChangedElsewhere: a scheduler plans what another daemon has changed, of
// which nobody tells it, page by page and without looking at all jobs.
func TestChangedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		ctx := t.Context()
		midnight := time.Now().UTC().Truncate(24 * time.Hour)
		w.sched = scheduler.New(w.catalog, w.runner, nil)
		w.sched.SetPlanning(2, 0)
		must[any](t)(nil, w.sched.Start(ctx))
		defer w.stop()
		var jobs []*shield.Job
		for n := range 5 {
			j := &shield.Job{Meta: shield.Meta{Name: fmt.Sprint("job ", n)}, Target: "nightly", Store: "nightly", Schedule: "nightly", Policy: "nightly"}
			must[any](t)(nil, w.catalog.CreateJob(ctx, j))
			jobs = append(jobs, j)
		}
		want := func(what string, hour int) {
			t.Helper()
			time.Sleep(61 * time.Second)
			synctest.Wait()
			for _, j := range append(jobs, w.job) {
				if got := w.due(j.UUID); !slices.Equal(got, []time.Time{midnight.Add(time.Duration(hour) * time.Hour)}) {
					t.Errorf("%s: job %s is due at %v, want %d:00", what, j.Name, got, hour)
				}
			}
		}
		want("new jobs", 4)
		s := must[*shield.Schedule](t)(w.catalog.Schedule(ctx, "nightly"))
		s.Timespec = "daily 6:00"
		must[any](t)(nil, w.catalog.UpdateSchedule(ctx, s))
		want("another timespec", 6)
		must[any](t)(nil, w.catalog.CreateSchedule(ctx, &shield.Schedule{Meta: shield.Meta{Name: "late"}, Timespec: "daily 22:00"}))
		for _, j := range append(jobs, w.job) {
			j = must[*shield.Job](t)(w.catalog.Job(ctx, j.UUID))
			j.Schedule = "late"
			must[any](t)(nil, w.catalog.UpdateJob(ctx, j))
		}
		want("another schedule", 22)
	})
}

// A stubborn catalog cannot take the steps of one job.
type stubborn struct {
	shield.Catalog
	job string
}

func (c *stubborn) TakeSteps(ctx context.Context, steps []*shield.RunStep) error {
	for _, s := range steps {
		if s.Run.Job == c.job {
			return shield.Errorf(shield.Internal, "", "no way")
		}
	}
	return c.Catalog.TakeSteps(ctx, steps)
}

// TestManyDue: more runs than are started at once begin in one tick, each
// once, also beside one that cannot be started.
func TestManyDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		ctx := t.Context()
		const n = 130
		for i := range n {
			must[any](t)(nil, w.catalog.CreateJob(ctx, &shield.Job{
				Meta: shield.Meta{Name: fmt.Sprint("job ", i)}, Target: "nightly", Store: "nightly", Schedule: "nightly", Policy: "nightly",
			}))
		}
		w.sched = scheduler.New(&stubborn{w.catalog, w.job.UUID}, w.runner, &scheduler.Options{Limit: 1})
		must[any](t)(nil, w.sched.Start(ctx))
		defer w.stop()
		at := time.Now().UTC().Truncate(24 * time.Hour).Add(4 * time.Hour)
		time.Sleep(time.Until(at.Add(1500 * time.Millisecond)))
		synctest.Wait()
		of := map[string]int{}
		for _, task := range w.tasks(shield.Filter{Op: shield.OpBackup}) {
			of[task.Job]++
		}
		if len(of) != n || of[w.job.UUID] != 0 {
			t.Errorf("%d jobs have tasks, want %d", len(of), n)
		}
		for job, tasks := range of {
			if due := w.due(job); tasks != 1 || len(due) != 1 || !due[0].Equal(at.Add(24*time.Hour)) {
				t.Errorf("job %s has %d tasks and is due at %v", job, tasks, due)
			}
		}
		if got := w.due(w.job.UUID); !slices.Equal(got, []time.Time{at}) {
			t.Errorf("the run that cannot be started is due at %v", got)
		}
	})
}

// TestManyPurges: all archives that expired are purged, if there are more of
// them than are queued at once.
func TestManyPurges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		w.start(scheduler.Options{})
		defer w.stop()
		var made []string
		for range 60 {
			made = append(made, w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive)
			time.Sleep(time.Second)
		}
		time.Sleep(70 * time.Minute)
		synctest.Wait()
		if got := w.valid(made); !slices.Equal(got, []int{len(made) - 1}) {
			t.Errorf("archives %v are valid, want the newest", got)
		}
		if purges := w.tasks(shield.Filter{Op: shield.OpPurge}); len(purges) != len(made)-1 {
			t.Errorf("%d purges, want %d", len(purges), len(made)-1)
		}
	})
}
