package scheduler

import (
	"context"
	"log/slog"
	"time"

	"github.com/shieldhq/shield"
)

// How often keepTime looks. Waiting by short steps, it notices a clock that
// was set.
const (
	tickEvery   = time.Second
	replanEvery = time.Minute
	sweepEvery  = time.Minute
)

// keepTime records runs before they are due, starts those that are, expires
// archives, and ends tasks whose lease lapsed.
func (s *Scheduler) keepTime(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var planned, swept, due time.Time
	first, changed := true, false
	var jobs planning
	var archives sweep
	for {
		now := s.now()
		if first || changed || now.Sub(planned) >= replanEvery || now.Before(planned) {
			jobs.begin(first || now.Before(planned))
			planned, due = now, now
			first, changed = false, false
		}
		plan, err := s.plan(ctx, &jobs, now)
		s.report(ctx, "planning", err)
		if plan {
			due = now
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
		sweep, err := s.expire(ctx, &archives, now)
		s.report(ctx, "retention", err)
		if (plan || sweep) && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.replan:
			changed = true
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
