package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shieldhq/shield"
)

// overlap decides what becomes of a run while backups of its job have not
// ended: it returns why the run is skipped, or the reason that the run is
// started with and the tasks that it replaces.
func (s *Scheduler) overlap(ctx context.Context, j *shield.Job) (skip, reason string, replaced []*shield.Task, err error) {
	open, err := s.catalog.Tasks(ctx, shield.Filter{
		Job: j.UUID, Op: shield.OpBackup,
		Statuses: []string{string(shield.TaskPending), string(shield.TaskRunning)},
	})
	if err != nil || len(open) == 0 {
		return "", "", nil, err
	}
	first := open[len(open)-1] // the one that was asked for first
	switch j.Overlap {
	case shield.OverlapQueue:
		for _, t := range open {
			if t.Status == shield.TaskPending {
				return fmt.Sprintf("task %s of the same job waits already", t.UUID), "", nil, nil
			}
		}
		return "", fmt.Sprintf("waits for task %s of the same job", first.UUID), nil, nil
	case shield.OverlapReplace:
		return "", fmt.Sprintf("replaces task %s of the same job", first.UUID), open, nil
	}
	return fmt.Sprintf("task %s of the same job is still %s", first.UUID, first.Status), "", nil, nil
}

// startOverlapping starts a run, or skips it, as its job wants it.
func (s *Scheduler) startOverlapping(ctx context.Context, t *start) error {
	d, reason := t.due, ""
	if d.Open {
		skip, why, replaced, err := s.overlap(ctx, d.Job)
		if err != nil {
			return err
		}
		if skip != "" {
			s.pass(t, shield.RunSkipped, skip)
			return nil
		}
		reason, t.replaced = why, replaced
	}
	made := s.newTask(shield.Request{Op: shield.OpBackup})
	fillBackupOf(made, d.Job, d.Policy, d.Target, d.Store)
	if err := made.Validate(); err != nil {
		t.Run.Status, t.Run.Reason, t.replaced = shield.RunFailed, err.Error(), nil
		return nil
	}
	if made.MaxAttempts == 0 {
		made.MaxAttempts = s.opts.Attempts
	}
	t.Task, t.Run.Reason = made, reason
	return nil
}

// replace cancels a task in favour of that of a run, which exists by now and
// waits until this one has cleaned up, since a job has one running task. One
// that has ended meanwhile is what was wanted, too.
func (s *Scheduler) replace(ctx context.Context, old *shield.Task, r *shield.Run) error {
	err := s.cancel(ctx, old.UUID, "replaced by the run due at "+r.DueAt.UTC().Format(time.RFC3339))
	if errors.Is(err, shield.Conflict) {
		now, terr := s.catalog.Task(ctx, old.UUID)
		if terr == nil && now.Status.Final() {
			return nil
		}
	}
	return err
}
