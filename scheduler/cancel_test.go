package scheduler_test

import (
	"context"
	"sync"
	"testing"
	"time"

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

// A lateClaim is a catalog whose claims return only when somebody has tried
// to cancel what was claimed.
type lateClaim struct {
	shield.Catalog
	claimed, asked chan struct{}
}

func (c *lateClaim) ClaimTask(ctx context.Context, l shield.Lease, now time.Time) (*shield.Task, error) {
	t, err := c.Catalog.ClaimTask(ctx, l, now)
	if err == nil {
		close(c.claimed)
		<-c.asked
	}
	return t, err
}

func (c *lateClaim) CancelPending(ctx context.Context, uuid, reason string, now time.Time) error {
	defer close(c.asked)
	return c.Catalog.CancelPending(ctx, uuid, reason, now)
}

// TestCancelWhileClaimed cancels a task that is running for the catalog, but
// of which the scheduler does not know yet.
func TestCancelWhileClaimed(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.runner.RunFunc = func(ctx context.Context, _ *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
		<-ctx.Done()
		return shield.TaskResult{}, context.Cause(ctx)
	}
	late := &lateClaim{w.catalog, make(chan struct{}), make(chan struct{})}
	w.sched = scheduler.New(late, w.runner, nil)
	must[any](t)(nil, w.sched.Start(t.Context()))
	defer w.stop()
	task := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
	<-late.claimed
	must[any](t)(nil, w.sched.Cancel(t.Context(), task.UUID))
	if got := w.ended(task.UUID); got.Status != shield.TaskCanceled || got.Error != "canceled on request" {
		t.Errorf("it is %s: %s", got.Status, got.Error)
	}
}
