package scheduler_test

import (
	"context"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// TestCancelAtOnce cancels tasks while they are claimed: wherever that finds
// them, they end as canceled.
func TestCancelAtOnce(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.runner.RunFunc = func(ctx context.Context, _ *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
		<-ctx.Done()
		return shield.TaskResult{}, context.Cause(ctx)
	}
	w.start(scheduler.Options{Limit: 3})
	defer w.stop()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 40 {
				task, err := w.sched.Submit(t.Context(), shield.Request{Op: shield.OpTestStore, Store: "nightly"})
				if err == nil {
					err = w.sched.Cancel(t.Context(), task.UUID)
				}
				if err != nil {
					t.Errorf("canceling a task at once: %v", err)
					return
				}
				if got := w.ended(task.UUID); got.Status != shield.TaskCanceled || got.Error != "canceled on request" {
					t.Errorf("it is %s: %s", got.Status, got.Error)
				}
			}
		})
	}
	all.Wait()
}
