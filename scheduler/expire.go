package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

const (
	// reviewAfter is how long an archive that a rule keeps is left alone.
	reviewAfter = time.Hour
	// openPurges is how many purges of archives wait or run at once: enough
	// that the runners have work, few enough that other tasks are found among
	// them. purgesAtOnce is how many are queued before other work is done.
	openPurges, purgesAtOnce = 1000, 25
	// feedEvery is how often purges are queued while there are more to come.
	feedEvery = 5 * time.Second
)

// A sweep is what is left of looking at archives. It goes on step by step, so
// that runs are started meanwhile.
type sweep struct {
	review bool      // there may be archives to look at
	feed   bool      // there may be purges to queue
	after  string    // the archive whose purge was queued last
	again  time.Time // when to go on for which there was no room; zero if all were queued
}

// begin starts a sweep. One that has not ended goes on.
func (w *sweep) begin() { w.review, w.feed = true, true }

// expire takes a step of a sweep: it looks at some archives that their policy
// may no longer want, or queues some purges. The newest valid archive of a
// target is never among these, nor is any of a job that a suspicious one
// freezes. It reports whether it is to be called again at once.
func (s *Scheduler) expire(ctx context.Context, w *sweep, now time.Time) (more bool, err error) {
	if !w.again.IsZero() && (!now.Before(w.again) || w.again.Sub(now) > feedEvery) {
		w.feed = true
	}
	switch {
	case w.review:
		w.review, err = s.catalog.ReviewArchives(ctx, now, now.Add(reviewAfter), func(r *shield.Review) error {
			s.decide(r, now)
			return nil
		})
	case w.feed:
		err = s.queuePurges(ctx, w, now)
	}
	if err != nil {
		w.review, w.feed = false, false // the next sweep tries again
	}
	return w.review || w.feed, err
}

// decide asks the policies of the jobs that have made archives of a target
// which of them they keep. With a job its rules are gone.
func (s *Scheduler) decide(r *shield.Review, now time.Time) {
	asked := map[string]bool{}
	for _, a := range r.Archives {
		if asked[a.Job] {
			continue
		}
		asked[a.Job] = true
		p := r.Policies[a.Job]
		if p == nil {
			p = &shield.Policy{}
		}
		decisions, err := retention.Plan(p, a.Job, r.Archives, now)
		if err != nil {
			s.log.Error("the archives of a job are kept, since its policy cannot be asked", "job", a.Job, "target", r.Target, "err", err)
		}
		for i := range decisions {
			r.Unwanted[decisions[i].Archive.UUID] = !decisions[i].Kept()
		}
	}
}

// queuePurges queues the purge of some archives that are to go and for which
// none is queued: they have just expired, the process that meant to do it
// died, or it was canceled.
func (s *Scheduler) queuePurges(ctx context.Context, w *sweep, now time.Time) error {
	open, err := s.catalog.OpenPurges(ctx)
	if err != nil {
		return err
	}
	w.again = time.Time{}
	if open >= openPurges {
		w.feed, w.again = false, now.Add(feedEvery)
		return nil
	}
	going, err := s.catalog.ArchivesToPurge(ctx, w.after, purgesAtOnce)
	if err != nil {
		return err
	}
	for _, a := range going {
		if err := s.purge(ctx, a, a.PurgeReason); err != nil {
			return err
		}
		w.after = a.UUID
	}
	if len(going) < purgesAtOnce {
		w.feed, w.after = false, ""
	}
	return nil
}

// purge queues the purge of an archive unless that is done already, or
// something forbids it for now.
func (s *Scheduler) purge(ctx context.Context, a *shield.Archive, reason string) error {
	_, err := s.Submit(ctx, shield.Request{Op: shield.OpPurge, Archive: a.UUID, Reason: reason})
	if errors.Is(err, shield.Conflict) {
		return nil
	}
	return err
}
