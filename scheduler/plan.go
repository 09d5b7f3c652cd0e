package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

const (
	// planAtOnce is how many jobs are planned before other work is done.
	planAtOnce = 200
	// planSlice is how many jobs are looked at each minute although nothing
	// says that they have changed.
	planSlice = 50
	// keptSchedules bounds those that are kept ready.
	keptSchedules = 200_000
)

// planning is what is left to plan. It costs what has changed, not what
// exists: jobs and schedules have the version by which they were planned, and
// a run that is started has the next one recorded. All jobs are looked at in
// turn when a scheduler starts and when the clock was set back, and else a
// slice of them each minute, by and by.
type planning struct {
	jobs     bool   // some may have changed
	afterJob string // the last one of these that was looked at

	schedules     bool               // some may have changed
	waiting       []*shield.Schedule // those that have, the first being at work
	afterSchedule string             // the last one that was found
	afterOf       string             // the last of its jobs that was looked at
	unsettled     bool               // one of its jobs could not be planned

	round bool   // all jobs are to be looked at now
	slice bool   // some are
	after string // the last one of these
}

// begin looks for what has changed, and at all jobs if they are wanted.
func (p *planning) begin(all bool) {
	after := p.after
	if all {
		after = ""
	}
	*p = planning{jobs: true, schedules: true, round: all || p.round, slice: true, after: after}
}

// plan makes sure that each job has its next run recorded, and withdraws those
// that no schedule expects any more. The runs of a paused job are recorded
// too: they are skipped when they are due. It takes one step, and reports
// whether there are more.
func (s *Scheduler) plan(ctx context.Context, p *planning, now time.Time) (more bool, err error) {
	switch {
	case p.jobs:
		p.jobs, p.afterJob, err = s.planSome(ctx, shield.PlanFilter{Changed: true, After: p.afterJob, Limit: s.planAtOnce}, now, nil)
	case p.schedules:
		err = s.planSchedules(ctx, p, now)
	case p.round:
		p.round, p.after, err = s.planSome(ctx, shield.PlanFilter{After: p.after, Limit: s.planAtOnce}, now, nil)
		p.slice = p.slice && p.round
	case p.slice && s.planSlice > 0:
		p.slice = false
		_, p.after, err = s.planSome(ctx, shield.PlanFilter{After: p.after, Limit: s.planSlice}, now, nil)
	}
	if err != nil {
		*p = planning{round: p.round, after: p.after} // a minute later
		return false, err
	}
	return p.jobs || p.schedules || p.round || p.slice && s.planSlice > 0, nil
}

// planSchedules plans some jobs of a schedule that has changed.
func (s *Scheduler) planSchedules(ctx context.Context, p *planning, now time.Time) (err error) {
	if len(p.waiting) == 0 {
		if p.waiting, err = s.catalog.ChangedSchedules(ctx, p.afterSchedule); err != nil || len(p.waiting) == 0 {
			p.schedules = false
			return err
		}
		p.afterSchedule = p.waiting[len(p.waiting)-1].UUID
	}
	sch := p.waiting[0]
	f := shield.PlanFilter{Schedule: sch.UUID, After: p.afterOf, Limit: s.planAtOnce}
	var more bool
	if more, p.afterOf, err = s.planSome(ctx, f, now, &p.unsettled); err != nil || more {
		return err
	}
	if !p.unsettled {
		err = s.catalog.SchedulePlanned(ctx, sch.UUID, sch.Version)
	}
	p.waiting, p.unsettled = p.waiting[1:], false
	return err
}

// planSome plans the jobs of a page. It reports whether there are more, and
// which was the last; none, if it was the last of all.
func (s *Scheduler) planSome(ctx context.Context, f shield.PlanFilter, now time.Time, unsettled *bool) (more bool, last string, err error) {
	plans, err := s.catalog.Plans(ctx, f)
	if err != nil {
		return false, f.After, err
	}
	var settled []*shield.JobPlan
	for _, p := range plans {
		ok, err := s.planJob(ctx, p, now)
		if err != nil {
			s.log.Error("a job was not planned", "job", p.Name, "err", err)
		}
		if ok && f.Changed {
			settled = append(settled, p)
		}
		if !ok && unsettled != nil {
			*unsettled = true
		}
	}
	if len(settled) > 0 {
		err = s.catalog.Planned(ctx, settled)
	}
	if len(plans) < f.Limit {
		return false, "", err
	}
	return true, plans[len(plans)-1].Job, err
}

// planJob compares the runs that are recorded with the one that the schedule
// wants, which is recorded before others are withdrawn: a job without any
// would not be missed if the process died now. It reports whether the runs are
// what the job wants.
func (s *Scheduler) planJob(ctx context.Context, p *shield.JobPlan, now time.Time) (settled bool, err error) {
	for _, r := range p.Due {
		if !r.DueAt.After(now) {
			return false, nil // overdue: startDue takes it, and plans the next
		}
	}
	sch, err := s.scheduleOf(ctx, p)
	if err != nil {
		return false, err
	}
	next := sch.Next(now, p.Job)
	if len(p.Due) == 1 && p.Due[0].DueAt.Equal(next) {
		return true, nil
	}
	if next, err = s.record(ctx, p.Job, sch, now); err != nil {
		return false, err
	}
	for _, r := range p.Due {
		if r.DueAt.Equal(next) {
			continue
		}
		err := s.catalog.WithdrawRun(ctx, r.UUID)
		if err != nil && !errors.Is(err, shield.Conflict) && !errors.Is(err, shield.NotFound) {
			return false, err // another scheduler was not quicker
		}
	}
	return true, nil
}

// A readied schedule is that of the catalog, as it was in a version.
type readied struct {
	version int64
	*timespec.Schedule
}

// scheduleOf returns the schedule of a job, ready to be asked. Reading its
// texts and zone takes longer than all else here, so it is kept.
func (s *Scheduler) scheduleOf(ctx context.Context, p *shield.JobPlan) (*timespec.Schedule, error) {
	if s.opts.EveryMinute {
		return timespec.EveryMinute(), nil
	}
	if r := s.schedules[p.Schedule]; r.Schedule != nil && r.version == p.ScheduleVersion {
		return r.Schedule, nil
	}
	sch, err := s.catalog.Schedule(ctx, p.Schedule)
	if err != nil {
		return nil, err
	}
	return s.ready(sch)
}

func (s *Scheduler) ready(sch *shield.Schedule) (*timespec.Schedule, error) {
	if s.opts.EveryMinute {
		return timespec.EveryMinute(), nil
	}
	if r := s.schedules[sch.UUID]; r.Schedule != nil && r.version == sch.Version {
		return r.Schedule, nil
	}
	made, err := timespec.New(sch)
	if err != nil {
		return nil, err
	}
	if len(s.schedules) >= keptSchedules {
		clear(s.schedules) // those that are in use come back
	}
	s.schedules[sch.UUID] = readied{sch.Version, made}
	return made, nil
}

// record writes the next run of a job, if there is one: a schedule can be
// over. It returns when that is due, also if it was recorded already.
func (s *Scheduler) record(ctx context.Context, job string, sch *timespec.Schedule, now time.Time) (time.Time, error) {
	next := sch.Next(now, job)
	err := s.recordDue(ctx, job, next)
	if !errors.Is(err, shield.Conflict) {
		return next, err
	}
	next, err = s.afterRecorded(ctx, job, sch, next)
	if err == nil {
		err = s.recordDue(ctx, job, next)
	}
	if errors.Is(err, shield.Conflict) {
		err = nil // it is due, or another scheduler was quicker
	}
	return next, err
}

func (s *Scheduler) recordDue(ctx context.Context, job string, due time.Time) error {
	if due.IsZero() {
		return nil
	}
	return s.catalog.RecordRun(ctx, &shield.Run{Job: job, DueAt: due, Status: shield.RunDue})
}

// afterRecorded returns the first time of a schedule, from next on, whose run
// is not over: a clock that was set back comes by times whose runs are.
func (s *Scheduler) afterRecorded(ctx context.Context, job string, sch *timespec.Schedule, next time.Time) (time.Time, error) {
	runs, err := s.catalog.Runs(ctx, shield.Filter{Job: job, After: next})
	if err != nil {
		return time.Time{}, err
	}
	over := map[int64]bool{}
	for _, r := range runs {
		over[r.DueAt.UnixMilli()] = r.Status != shield.RunDue
	}
	for !next.IsZero() && over[next.UnixMilli()] {
		next = sch.Next(next, job)
	}
	return next, nil
}
