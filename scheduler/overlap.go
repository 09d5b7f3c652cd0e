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
func (s *Scheduler) startOverlapping(ctx context.Context, j *shield.Job, r *shield.Run) error {
	skip, reason, replaced, err := s.overlap(ctx, j)
	if err != nil {
		return err
	}
	if skip != "" {
		return s.pass(ctx, j, r, shield.RunSkipped, skip)
	}
	t, err := s.taskFor(ctx, shield.Request{Op: shield.OpBackup, Job: j.UUID})
	if err != nil {
		return s.endRun(ctx, r, shield.RunFailed, err.Error())
	}
	if t.MaxAttempts == 0 {
		t.MaxAttempts = s.opts.Attempts
	}
	r.Reason = reason
	err = s.catalog.StartRun(ctx, r, t)
	if errors.Is(err, shield.Conflict) {
		return nil // another scheduler was quicker
	}
	if err != nil {
		return err
	}
	for _, old := range replaced {
		if err := s.replace(ctx, old, r); err != nil {
			s.log.Error("a task was not replaced: the one of the next run waits for it", "task", old.UUID, "by", t.UUID, "err", err)
		}
	}
	signal(s.wake)
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
