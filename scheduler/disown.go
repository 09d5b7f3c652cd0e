package scheduler

import (
	"context"
	"errors"

	"github.com/shieldhq/shield"
)

// Disown queues the purges of what an attempt of a task has stored that was
// given up before its end was known. What the task has ended with is spared.
func (s *Scheduler) Disown(ctx context.Context, task string, epoch int64, keys []string) error {
	t, err := s.catalog.Task(ctx, task)
	if errors.Is(err, shield.NotFound) {
		return nil // nobody knows where that was stored
	}
	if err != nil {
		return err
	}
	if t.LeaseEpoch == epoch && (t.Status == shield.TaskDone || t.Status == shield.TaskRunning) {
		return nil
	}
	for _, key := range keys {
		if t.Status != shield.TaskFailed && t.Status != shield.TaskCanceled && key == t.Key {
			continue // it is written under this key at this moment, or was
		}
		if err := s.catalog.CreateTask(ctx, leftover(t, key, s.now())); err != nil {
			return err
		}
	}
	signal(s.wake)
	return nil
}
