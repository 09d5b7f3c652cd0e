package catalogtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testConcurrent(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Claim", func(t *testing.T) { testConcurrentClaim(t, newFixture(t, open)) })
	t.Run("Create", func(t *testing.T) { testConcurrentCreate(t, newFixture(t, open)) })
	t.Run("Update", func(t *testing.T) { testConcurrentUpdate(t, newFixture(t, open)) })
	t.Run("RecordRun", func(t *testing.T) { testConcurrentRun(t, newFixture(t, open)) })
}

const goroutines = 8

// together runs f in several goroutines and returns how often it returned nil;
// any error must have the code.
func together(t *testing.T, code shield.Code, f func(worker int) error) (good int) {
	t.Helper()
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			good++
		} else {
			wantCode(t, err, code, "")
		}
	}
	return good
}

// testConcurrentClaim drains a queue and checks that every task was claimed
// once, and in order: what one goroutine claims is never more urgent than what
// it has claimed before, since that was there, too.
func testConcurrentClaim(t *testing.T, f *fixture) {
	const tasks = 500
	for i := range tasks {
		f.addTask(newFreeTask(fmt.Sprint(i), i*7%101, epoch().Add(-time.Duration(i%3)*time.Minute)))
	}
	var mu sync.Mutex
	claimed := map[string]bool{}
	order := make([][]int, goroutines)
	together(t, "", func(worker int) error {
		for {
			l := leaseOf(fmt.Sprint("core-", worker), epoch())
			task, err := f.ClaimTask(f.ctx, l, epoch())
			if shield.CodeOf(err) == shield.NotFound {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			if claimed[task.UUID] {
				t.Errorf("task %s was claimed twice", task.UUID)
			}
			claimed[task.UUID] = true
			mu.Unlock()
			order[worker] = append(order[worker], task.Priority-int(epoch().Sub(task.RequestedAt)/time.Minute))
			l.Epoch = task.LeaseEpoch
			if err := f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch()}); err != nil {
				return err
			}
		}
	})
	if len(claimed) != tasks {
		t.Errorf("%d of %d tasks were claimed", len(claimed), tasks)
	}
	for worker, urgencies := range order {
		if !slices.IsSorted(urgencies) {
			t.Errorf("goroutine %d claimed tasks of urgencies %v, want them in order", worker, urgencies)
		}
	}
}

func testConcurrentCreate(t *testing.T, f *fixture) {
	if n := together(t, shield.Conflict, func(int) error { return f.CreateTarget(f.ctx, newTarget("same")) }); n != 1 {
		t.Errorf("%d goroutines made a target of the same name, want 1", n)
	}
}

func testConcurrentUpdate(t *testing.T, f *fixture) {
	n := together(t, shield.Conflict, func(int) error {
		mine := *f.target
		return f.UpdateTarget(f.ctx, &mine)
	})
	got, err := f.Target(f.ctx, "prod")
	must(t, err)
	if n != 1 || got.Version != 2 {
		t.Errorf("%d of the updates of version 1 passed and made version %d, want 1 and 2", n, got.Version)
	}
	n = together(t, shield.Conflict, func(int) error {
		mine := *f.target
		mine.Version = 0
		return f.UpdateTarget(f.ctx, &mine)
	})
	got, err = f.Target(f.ctx, "prod")
	must(t, err)
	if n != goroutines || got.Version != 2+goroutines {
		t.Errorf("%d unchecked updates passed and made version %d, want %d and %d", n, got.Version, goroutines, 2+goroutines)
	}
}

func testConcurrentRun(t *testing.T, f *fixture) {
	n := together(t, shield.Conflict, func(int) error {
		return f.RecordRun(f.ctx, &shield.Run{Job: f.job.UUID, DueAt: epoch()})
	})
	if n != 1 {
		t.Errorf("%d goroutines recorded the same run, want 1", n)
	}
	runs, err := f.Runs(f.ctx, shield.Filter{})
	must(t, err)
	n = together(t, shield.Conflict, func(int) error {
		run := *runs[0]
		return f.StartRun(f.ctx, &run, f.newTask())
	})
	tasks, err := f.Tasks(f.ctx, shield.Filter{})
	must(t, err)
	if n != 1 || len(tasks) != 1 {
		t.Errorf("a run was started %d times and has %d tasks, want 1", n, len(tasks))
	}
}
