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
	k := newKeeper(s)
	for {
		if k.tick(ctx, s.now()) && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.replan:
			k.changed = true
		case <-tick.C:
		}
	}
}

// A keeper is what keepTime remembers from tick to tick.
type keeper struct {
	*Scheduler
	all, changed        bool // all jobs, or those that have changed, are to be planned
	planned, swept, due time.Time
	jobs                planning
	archives            sweep
}

func newKeeper(s *Scheduler) *keeper { return &keeper{Scheduler: s, all: true} }

// tick does what the time has come for, a step of what is long, and reports
// whether more of that is left.
func (k *keeper) tick(ctx context.Context, now time.Time) (more bool) {
	if back := now.Before(k.planned); k.all || k.changed || back || now.Sub(k.planned) >= replanEvery {
		k.jobs.begin(k.all || back)
		k.planned, k.due = now, now
		k.all, k.changed = false, false
	}
	plan, err := k.plan(ctx, &k.jobs, now)
	k.report(ctx, "planning", err)
	if !now.Before(k.due) || plan {
		k.due, err = k.startDue(ctx, now)
		k.report(ctx, "starting due runs", err)
	}
	if now.Sub(k.swept) >= sweepEvery || now.Before(k.swept) {
		k.archives.begin()
		k.report(ctx, "recovery", k.recoverTasks(ctx, now))
		k.report(ctx, "judging objectives", k.judgeObjectives(ctx, now))
		k.swept = now
	}
	sweep, err := k.expire(ctx, &k.archives, now)
	k.report(ctx, "retention", err)
	return plan || sweep
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
