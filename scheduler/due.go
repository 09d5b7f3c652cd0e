package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

const (
	// dueAtOnce is how many runs are started in one transaction.
	dueAtOnce = 100
	// missedLimit bounds the runs that one catch-up records as missed.
	missedLimit = 100
	// lateAfter is when a run that has not started counts as missed by a
	// schedule that does not catch up. A tick is a second, but the catalog
	// can be slow, and clocks are set.
	lateAfter = 2 * time.Minute
)

// startDue starts the runs whose time has come. After downtime each job has
// one such run: it is started once, and what else passed is missed. It
// returns when to look again: when the next run is due.
func (s *Scheduler) startDue(ctx context.Context, now time.Time) (again time.Time, err error) {
	again = now.Add(replanEvery)
	for after := ""; ctx.Err() == nil; {
		due, err := s.catalog.DueRuns(ctx, now, after, dueAtOnce)
		if err != nil {
			return now, err
		}
		if !s.startRuns(ctx, due, now) {
			again = now
		}
		if len(due) < dueAtOnce {
			break
		}
		after = due[len(due)-1].Run.UUID
	}
	next, err := s.catalog.NextDue(ctx, now)
	if err != nil {
		return now, err
	}
	if !next.IsZero() && next.Before(again) {
		again = next
	}
	return again, nil
}

// A start is the step of a run, and what it takes to try again.
type start struct {
	*shield.RunStep
	due      *shield.DueRun
	replaced []*shield.Task
}

// startRuns starts runs, or ends those that are not to be started. It reports
// whether that is so of all of them.
func (s *Scheduler) startRuns(ctx context.Context, due []*shield.DueRun, now time.Time) bool {
	all := true
	var some []*start
	jobs := map[string]bool{}
	for _, d := range due {
		if jobs[d.Run.Job] { // see what becomes of the other one first
			all = s.take(ctx, some, now) && all
			some, d.Open = nil, true
			clear(jobs)
		}
		jobs[d.Run.Job] = true
		step, err := s.stepOf(ctx, d, now)
		if err != nil {
			s.notStarted(d.Run, err)
			all = false
			continue
		}
		some = append(some, step)
	}
	return s.take(ctx, some, now) && all
}

func (s *Scheduler) notStarted(r *shield.Run, err error) {
	s.log.Error("a due run was not started", "run", r.UUID, "job", r.Job, "err", err)
}

// take takes steps together, and those that fail so alone: one that cannot be
// taken does not keep others from it.
func (s *Scheduler) take(ctx context.Context, some []*start, now time.Time) bool {
	steps := make([]*shield.RunStep, len(some))
	for i, t := range some {
		steps[i] = t.RunStep
	}
	if err := s.catalog.TakeSteps(ctx, steps); err != nil {
		for _, t := range some {
			t.Err = s.catalog.TakeSteps(ctx, []*shield.RunStep{t.RunStep})
		}
	}
	all := true
	for _, t := range some {
		err := t.Err
		if overDue(err) {
			err = s.takeAfter(ctx, t)
		}
		switch {
		case err == nil:
			s.taken(ctx, t)
		case !errors.Is(err, shield.Conflict): // another scheduler was quicker
			s.notStarted(t.Run, err)
			all = false
		}
	}
	if len(some) > 0 {
		signal(s.wake)
	}
	return all
}

// overDue reports whether the next run of a step is over: a clock that was set
// back comes by times whose runs are.
func overDue(err error) bool {
	var e *shield.Error
	return errors.As(err, &e) && e.Code == shield.Conflict && e.Field == "due_at"
}

// takeAfter takes a step whose next run is a later one.
func (s *Scheduler) takeAfter(ctx context.Context, t *start) error {
	next := t.Also[0].Run
	sch, err := s.ready(t.due.Schedule)
	if err != nil {
		return err
	}
	at, err := s.afterRecorded(ctx, next.Job, sch, next.DueAt)
	if err != nil {
		return err
	}
	if at.IsZero() {
		t.Also = t.Also[1:]
	} else {
		next.DueAt = at
	}
	if err := s.catalog.TakeSteps(ctx, []*shield.RunStep{t.RunStep}); err != nil {
		return err
	}
	return t.Err
}

func (s *Scheduler) taken(ctx context.Context, t *start) {
	for _, old := range t.replaced {
		if err := s.replace(ctx, old, t.Run); err != nil {
			s.log.Error("a task was not replaced: the one of the next run waits for it", "task", old.UUID, "by", t.Task.UUID, "err", err)
		}
	}
}

// stepOf decides what becomes of a run. It stays due until all other times up
// to the next are recorded, with it.
func (s *Scheduler) stepOf(ctx context.Context, d *shield.DueRun, now time.Time) (*start, error) {
	r := *d.Run
	t := &start{RunStep: &shield.RunStep{Run: &r}, due: d}
	if d.Job == nil {
		r.Status, r.Reason = shield.RunSkipped, "the job was deleted"
		return t, nil
	}
	sch, err := s.ready(d.Schedule)
	if err != nil {
		return nil, err
	}
	if next := sch.Next(now, d.Job.UUID); !next.IsZero() {
		t.Also = append(t.Also, &shield.RunStep{Run: &shield.Run{Job: d.Job.UUID, DueAt: next.UTC(), Status: shield.RunDue}})
	}
	t.Also = append(t.Also, s.missedRuns(d.Job, sch, r.DueAt, now)...)
	return t, s.startOrSkip(ctx, t, sch, now)
}

// missedRuns are the occurrences between a run that is started late and now.
func (s *Scheduler) missedRuns(j *shield.Job, sch *timespec.Schedule, from, now time.Time) (passed []*shield.RunStep) {
	for range missedLimit {
		next := sch.Next(from, j.UUID)
		if next.IsZero() || next.After(now) {
			break
		}
		r := &shield.Run{Job: j.UUID, DueAt: next.UTC(), Status: shield.RunMissed, Reason: missed}
		if w, black := sch.Blacked(next); black {
			r.Status, r.Reason = shield.RunSkipped, blackout(w)
		}
		passed = append(passed, &shield.RunStep{Run: r, Event: s.passedEvent(j, r)})
		from = next
	}
	return passed
}

func (s *Scheduler) startOrSkip(ctx context.Context, t *start, sch *timespec.Schedule, now time.Time) error {
	r := t.Run
	if t.due.Job.Paused {
		r.Status, r.Reason = shield.RunSkipped, "the job is paused"
		return nil
	}
	// A run that is caught up must not start in a window either.
	for _, at := range []time.Time{r.DueAt, now} {
		if w, black := sch.Blacked(at); black {
			s.pass(t, shield.RunSkipped, blackout(w))
			return nil
		}
	}
	if !sch.CatchUp && now.Sub(r.DueAt) > lateAfter {
		s.pass(t, shield.RunMissed, missed+", and its schedule does not catch up")
		return nil
	}
	reason, err := s.absent(ctx, t.due.Target)
	if err != nil {
		return err
	}
	if reason != "" {
		s.pass(t, shield.RunMissed, reason)
		return nil
	}
	return s.startOverlapping(ctx, t)
}

// pass ends a run that is not started, with an event.
func (s *Scheduler) pass(t *start, status shield.RunStatus, reason string) {
	t.Run.Status, t.Run.Reason = status, reason
	t.Event = s.passedEvent(t.due.Job, t.Run)
}

// passedEvent is that of a run that was missed or skipped.
func (s *Scheduler) passedEvent(j *shield.Job, r *shield.Run) *shield.Event {
	kind := shield.EventRunMissed
	if r.Status == shield.RunSkipped {
		kind = shield.EventRunSkipped
	}
	return &shield.Event{
		At: s.now().UTC(), Kind: kind, Subject: j.UUID,
		Message: fmt.Sprintf("run of job %s due at %s was %s: %s", j.Name, r.DueAt.UTC().Format(time.RFC3339), r.Status, r.Reason),
	}
}

const missed = "its time passed while no scheduler ran"

func blackout(w timespec.Window) string { return "blackout: " + w.String() }
