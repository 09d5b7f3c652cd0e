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
// newest valid archive of a target is never among them.
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
	k := &keeping{catalog: s.catalog, now: now, plans: map[string]map[string]bool{}}
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
	catalog shield.Catalog
	now     time.Time
	plans   map[string]map[string]bool // by job and target: the archives that are kept
}

func (k *keeping) keeps(ctx context.Context, a *shield.Archive) (bool, error) {
	of := a.Job + " " + a.Target
	kept, known := k.plans[of]
	if !known {
		var err error
		if kept, err = k.plan(ctx, a.Job, a.Target); err != nil {
			return false, err
		}
		k.plans[of] = kept
	}
	return kept[a.UUID], nil
}

func (k *keeping) plan(ctx context.Context, job, target string) (map[string]bool, error) {
	j, err := k.catalog.Job(ctx, job)
	if errors.Is(err, shield.NotFound) {
		return nil, nil // with the job its rules are gone
	}
	if err != nil {
		return nil, err
	}
	p, err := k.catalog.Policy(ctx, j.Policy)
	if err != nil || !p.Keeps() {
		return nil, err
	}
	all, err := k.catalog.Archives(ctx, shield.Filter{Target: target, Statuses: []string{string(shield.ArchiveValid)}})
	if err != nil {
		return nil, err
	}
	decisions, err := retention.Plan(p, job, all, k.now)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for i := range decisions {
		kept[decisions[i].Archive.UUID] = decisions[i].Kept()
	}
	return kept, nil
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
