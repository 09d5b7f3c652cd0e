package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

const (
	// expireBatch is how many archives are looked at at once, and
	// expireBatches how often before other work is done.
	expireBatch, expireBatches = 100, 10
	// reviewAfter is how long an archive that a rule keeps is left alone.
	reviewAfter = time.Hour
)

// expire queues the purge of archives that their policy no longer wants. The
// newest valid archive of a target is never among them, nor is any of a job
// that a suspicious one freezes.
func (s *Scheduler) expire(ctx context.Context, now time.Time) error {
	for range expireBatches {
		n, err := s.expireSome(ctx, now)
		if err != nil {
			return err
		}
		if n < expireBatch {
			break
		}
	}
	return s.resumePurges(ctx)
}

func (s *Scheduler) expireSome(ctx context.Context, now time.Time) (int, error) {
	expired, err := s.catalog.ExpiredArchives(ctx, now, expireBatch)
	if err != nil {
		return 0, err
	}
	k := &keeping{scheduler: s, now: now, plans: map[string]kept{}}
	for _, a := range expired {
		kept, err := k.keeps(ctx, a)
		if err != nil {
			return 0, err
		}
		if kept {
			a.ReviewAt = now.Add(reviewAfter)
		} else {
			a.Status = shield.ArchiveExpired
		}
		err = s.catalog.UpdateArchive(ctx, a)
		if errors.Is(err, shield.Conflict) {
			continue // somebody has just changed it: the next sweep looks again
		}
		if err != nil {
			return 0, err
		}
		if kept {
			continue
		}
		if err := s.purge(ctx, a, "expired "+a.ExpiresAt.UTC().Format(time.RFC3339)); err != nil {
			return 0, err
		}
	}
	return len(expired), nil
}

// keeping asks the policies of jobs which archives they keep beyond their
// expiry, each job once.
type keeping struct {
	scheduler *Scheduler
	now       time.Time
	plans     map[string]kept // by job and target
}

// kept are the archives of a job and target that are kept, by UUID.
type kept struct {
	all  bool
	some map[string]bool
}

func (k *keeping) keeps(ctx context.Context, a *shield.Archive) (bool, error) {
	of := a.Job + " " + a.Target
	plan, known := k.plans[of]
	if !known {
		var err error
		if plan, err = k.plan(ctx, a.Job, a.Target); err != nil {
			return false, err
		}
		k.plans[of] = plan
	}
	return plan.all || plan.some[a.UUID], nil
}

func (k *keeping) plan(ctx context.Context, job, target string) (kept, error) {
	if frozen, err := k.scheduler.frozenBy(ctx, job, target); err != nil || frozen != nil {
		return kept{all: true}, err
	}
	catalog := k.scheduler.catalog
	j, err := catalog.Job(ctx, job)
	if errors.Is(err, shield.NotFound) {
		return kept{}, nil // with the job its rules are gone
	}
	if err != nil {
		return kept{}, err
	}
	p, err := catalog.Policy(ctx, j.Policy)
	if err != nil || !p.Keeps() {
		return kept{}, err
	}
	all, err := catalog.Archives(ctx, shield.Filter{Target: target, Statuses: []string{string(shield.ArchiveValid)}})
	if err != nil {
		return kept{}, err
	}
	decisions, err := retention.Plan(p, job, all, k.now)
	if err != nil {
		return kept{}, err
	}
	plan := kept{some: map[string]bool{}}
	for i := range decisions {
		plan.some[decisions[i].Archive.UUID] = decisions[i].Kept()
	}
	return plan, nil
}

// resumePurges queues the purge of archives that are to go and for which
// none is queued: the process that meant to do it died, or it was canceled.
func (s *Scheduler) resumePurges(ctx context.Context) error {
	going, err := s.catalog.Archives(ctx, shield.Filter{Statuses: []string{string(shield.ArchiveExpired), string(shield.ArchivePurging)}})
	if err != nil {
		return err
	}
	for _, a := range going {
		if err := s.purge(ctx, a, a.PurgeReason); err != nil {
			return err
		}
	}
	return nil
}

// purge queues the purge of an archive unless that is done already.
func (s *Scheduler) purge(ctx context.Context, a *shield.Archive, reason string) error {
	_, err := s.Submit(ctx, shield.Request{Op: shield.OpPurge, Archive: a.UUID, Reason: reason})
	if errors.Is(err, shield.Conflict) {
		return nil
	}
	return err
}
