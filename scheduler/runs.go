package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// How often keepTime looks. Waiting by short steps, it notices a clock that
// was set.
const (
	tickEvery   = time.Second
	replanEvery = time.Minute
	sweepEvery  = time.Minute
	// missedLimit bounds the runs that one catch-up records as missed.
	missedLimit = 100
	// lateAfter is when a run that has not started counts as missed by a
	// schedule that does not catch up. A tick is a second, but the catalog
	// can be slow, and clocks are set.
	lateAfter = 2 * time.Minute
)

// keepTime records runs before they are due, starts those that are, expires
// archives, and ends tasks whose lease lapsed.
func (s *Scheduler) keepTime(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var planned, swept, due time.Time
	var archives sweep
	for {
		now := s.now()
		if now.Sub(planned) >= replanEvery || now.Before(planned) {
			s.report(ctx, "planning", s.plan(ctx, now))
			planned, due = now, now
		}
		if !now.Before(due) {
			next, err := s.startDue(ctx, now)
			s.report(ctx, "starting due runs", err)
			due = next
		}
		if now.Sub(swept) >= sweepEvery || now.Before(swept) {
			archives.begin()
			s.report(ctx, "recovery", s.recoverTasks(ctx, now))
			s.report(ctx, "judging objectives", s.judgeObjectives(ctx, now))
			swept = now
		}
		more, err := s.expire(ctx, &archives, now)
		s.report(ctx, "retention", err)
		if more && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.replan:
			planned = time.Time{}
		case <-tick.C:
		}
	}
}

// judgeObjectives tells of the jobs that have come to miss their objectives,
// or to meet them again: also while no scheduler ran, and when they are paused.
func (s *Scheduler) judgeObjectives(ctx context.Context, now time.Time) error {
	for {
		told, err := s.catalog.JudgeObjectives(ctx, now)
		if err != nil || len(told) == 0 {
			return err
		}
		for _, e := range told {
			level := slog.LevelInfo
			if e.Kind == shield.EventJobBreached {
				level = slog.LevelWarn
			}
			s.log.Log(ctx, level, e.Message, "job", e.Subject)
		}
	}
}

func (s *Scheduler) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.Error(what+" failed", "err", err)
	}
}

// plan makes sure that each job has its next run recorded, and withdraws
// those that no schedule expects any more. The runs of a paused job are
// recorded too: they are skipped when they are due.
func (s *Scheduler) plan(ctx context.Context, now time.Time) error {
	clear(s.schedules) // those that are in use come back
	jobs, err := s.catalog.Jobs(ctx, shield.Filter{})
	if err != nil {
		return err
	}
	due, err := s.dueRuns(ctx)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if err := s.planJob(ctx, j, due[j.UUID], now); err != nil {
			s.log.Error("a job was not planned", "job", j.Name, "err", err)
		}
		delete(due, j.UUID)
	}
	for _, runs := range due {
		for _, r := range runs {
			if err := s.endRun(ctx, r, shield.RunSkipped, "the job was deleted"); err != nil {
				return err
			}
		}
	}
	return nil
}

// dueRuns returns those that are recorded and not started, by job. A job has
// one, and more where a process died between two steps.
func (s *Scheduler) dueRuns(ctx context.Context) (map[string][]*shield.Run, error) {
	runs, err := s.catalog.Runs(ctx, shield.Filter{Statuses: []string{string(shield.RunDue)}})
	if err != nil {
		return nil, err
	}
	due := make(map[string][]*shield.Run, len(runs))
	for _, r := range runs {
		due[r.Job] = append(due[r.Job], r)
	}
	return due, nil
}

// planJob compares the runs that are recorded with the one that the schedule
// wants, which is recorded before others are withdrawn: a job without any
// would not be missed if the process died now.
func (s *Scheduler) planJob(ctx context.Context, j *shield.Job, due []*shield.Run, now time.Time) error {
	for _, r := range due {
		if !r.DueAt.After(now) {
			return nil // overdue: startDue takes it, then plans the next
		}
	}
	sch, err := s.scheduleOf(ctx, j)
	if err != nil {
		return err
	}
	next := sch.Next(now, j.UUID)
	if len(due) == 1 && due[0].DueAt.Equal(next) {
		return nil
	}
	if next, err = s.record(ctx, j, sch, now); err != nil {
		return err
	}
	for _, r := range due {
		if r.DueAt.Equal(next) {
			continue
		}
		err := s.catalog.WithdrawRun(ctx, r.UUID)
		if err != nil && !errors.Is(err, shield.Conflict) && !errors.Is(err, shield.NotFound) {
			return err // another scheduler was not quicker
		}
	}
	return nil
}

// A readied schedule is that of the catalog, as it was in a version.
type readied struct {
	version int64
	*timespec.Schedule
}

// scheduleOf returns the schedule of a job, ready to be asked. Reading its
// texts and zone takes longer than all else here, so it is kept.
func (s *Scheduler) scheduleOf(ctx context.Context, j *shield.Job) (*timespec.Schedule, error) {
	if s.opts.EveryMinute {
		return timespec.EveryMinute(), nil
	}
	sch, err := s.catalog.Schedule(ctx, j.Schedule)
	if err != nil {
		return nil, err
	}
	if r := s.schedules[sch.UUID]; r.Schedule != nil && r.version == sch.Version {
		return r.Schedule, nil
	}
	made, err := timespec.New(sch)
	if err != nil {
		return nil, err
	}
	s.schedules[sch.UUID] = readied{sch.Version, made}
	return made, nil
}

// record writes the next run of a job, if there is one: a schedule can be
// over. It returns when that is due, also if it was recorded already.
func (s *Scheduler) record(ctx context.Context, j *shield.Job, sch *timespec.Schedule, now time.Time) (time.Time, error) {
	next := sch.Next(now, j.UUID)
	err := s.recordDue(ctx, j, next)
	if !errors.Is(err, shield.Conflict) {
		return next, err
	}
	next, err = s.afterRecorded(ctx, j, sch, next)
	if err == nil {
		err = s.recordDue(ctx, j, next)
	}
	if errors.Is(err, shield.Conflict) {
		err = nil // it is due, or another scheduler was quicker
	}
	return next, err
}

func (s *Scheduler) recordDue(ctx context.Context, j *shield.Job, due time.Time) error {
	if due.IsZero() {
		return nil
	}
	return s.catalog.RecordRun(ctx, &shield.Run{Job: j.UUID, DueAt: due, Status: shield.RunDue})
}

// afterRecorded returns the first time of a schedule, from next on, whose run
// is not over: a clock that was set back comes by times whose runs are.
func (s *Scheduler) afterRecorded(ctx context.Context, j *shield.Job, sch *timespec.Schedule, next time.Time) (time.Time, error) {
	runs, err := s.catalog.Runs(ctx, shield.Filter{Job: j.UUID, After: next})
	if err != nil {
		return time.Time{}, err
	}
	over := map[int64]bool{}
	for _, r := range runs {
		over[r.DueAt.UnixMilli()] = r.Status != shield.RunDue
	}
	for !next.IsZero() && over[next.UnixMilli()] {
		next = sch.Next(next, j.UUID)
	}
	return next, nil
}

// startDue starts the runs whose time has come. After downtime each job has
// one such run: it is started once, and what else passed is missed. It
// returns when to look again: when the next run is due.
func (s *Scheduler) startDue(ctx context.Context, now time.Time) (time.Time, error) {
	runs, err := s.catalog.Runs(ctx, shield.Filter{Statuses: []string{string(shield.RunDue)}})
	if err != nil {
		return now, err
	}
	again := now.Add(replanEvery)
	for _, r := range runs {
		if r.DueAt.After(now) {
			if r.DueAt.Before(again) {
				again = r.DueAt
			}
			continue
		}
		again = now // its next run was recorded: see when that is due
		if err := s.startRun(ctx, r, now); err != nil {
			s.log.Error("a due run was not started", "run", r.UUID, "job", r.Job, "err", err)
		}
	}
	return again, nil
}

func (s *Scheduler) startRun(ctx context.Context, r *shield.Run, now time.Time) error {
	j, err := s.catalog.Job(ctx, r.Job)
	if errors.Is(err, shield.NotFound) {
		return s.endRun(ctx, r, shield.RunSkipped, "the job was deleted")
	}
	if err != nil {
		return err
	}
	sch, err := s.scheduleOf(ctx, j)
	if err != nil {
		return err
	}
	// This run stays due until all other times up to the next are recorded,
	// so that none is forgotten if the process dies on the way.
	if err := s.recordMissed(ctx, j, sch, r.DueAt, now); err != nil {
		return err
	}
	if _, err := s.record(ctx, j, sch, now); err != nil {
		return err
	}
	return s.startOrSkip(ctx, j, r, sch, now)
}

func (s *Scheduler) startOrSkip(ctx context.Context, j *shield.Job, r *shield.Run, sch *timespec.Schedule, now time.Time) error {
	if j.Paused {
		return s.endRun(ctx, r, shield.RunSkipped, "the job is paused")
	}
	// A run that is caught up must not start in a window either.
	for _, at := range []time.Time{r.DueAt, now} {
		if w, black := sch.Blacked(at); black {
			return s.pass(ctx, j, r, shield.RunSkipped, blackout(w))
		}
	}
	if !sch.CatchUp && now.Sub(r.DueAt) > lateAfter {
		return s.pass(ctx, j, r, shield.RunMissed, missed+", and its schedule does not catch up")
	}
	return s.startOverlapping(ctx, j, r)
}

// endRun ends a run that is not started, unless another scheduler was quicker.
func (s *Scheduler) endRun(ctx context.Context, r *shield.Run, status shield.RunStatus, reason string) error {
	err := s.catalog.EndRun(ctx, r.UUID, status, reason)
	if errors.Is(err, shield.Conflict) {
		return nil
	}
	return err
}

// pass ends a run that is not started, and records the event.
func (s *Scheduler) pass(ctx context.Context, j *shield.Job, r *shield.Run, status shield.RunStatus, reason string) error {
	err := s.catalog.EndRun(ctx, r.UUID, status, reason)
	if errors.Is(err, shield.Conflict) {
		return nil // another scheduler was quicker, and records it
	}
	if err != nil {
		return err
	}
	passed := *r
	passed.Status, passed.Reason = status, reason
	return s.tell(ctx, j, &passed)
}

// tell records the event of a run that was missed or skipped.
func (s *Scheduler) tell(ctx context.Context, j *shield.Job, r *shield.Run) error {
	kind := shield.EventRunMissed
	if r.Status == shield.RunSkipped {
		kind = shield.EventRunSkipped
	}
	return s.catalog.RecordEvent(ctx, &shield.Event{
		At: s.now().UTC(), Kind: kind, Subject: j.UUID,
		Message: fmt.Sprintf("run of job %s due at %s was %s: %s", j.Name, r.DueAt.UTC().Format(time.RFC3339), r.Status, r.Reason),
	})
}

const missed = "its time passed while no scheduler ran"

func blackout(w timespec.Window) string { return "blackout: " + w.String() }

// recordMissed records the occurrences between a run that is started late
// and now.
func (s *Scheduler) recordMissed(ctx context.Context, j *shield.Job, sch *timespec.Schedule, from, now time.Time) error {
	for range missedLimit {
		next := sch.Next(from, j.UUID)
		if next.IsZero() || next.After(now) {
			return nil
		}
		r := &shield.Run{Job: j.UUID, DueAt: next.UTC(), Status: shield.RunMissed, Reason: missed}
		if w, black := sch.Blacked(next); black {
			r.Status, r.Reason = shield.RunSkipped, blackout(w)
		}
		err := s.catalog.RecordRun(ctx, r)
		if err == nil {
			err = s.tell(ctx, j, r)
		}
		if err != nil && !errors.Is(err, shield.Conflict) {
			return err
		}
		from = next
	}
	return nil
}
