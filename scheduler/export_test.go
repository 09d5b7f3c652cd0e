package scheduler

import (
	"context"
	"time"
)

// SetClock has a scheduler that is not started read another clock.
func (s *Scheduler) SetClock(now func() time.Time) { s.now = now }

// SetPlanning has a scheduler that is not started plan so many jobs at once,
// and look at so many each minute of which nothing says that they have changed.
func (s *Scheduler) SetPlanning(atOnce, slice int) { s.planAtOnce, s.planSlice = atOnce, slice }

// Ticks returns what a tick of a scheduler that is not started does.
func (s *Scheduler) Ticks(ctx context.Context) func(now time.Time) (more bool) {
	k := newKeeper(s)
	return func(now time.Time) bool { return k.tick(ctx, now) }
}

// Review looks at all archives that have expired.
func (s *Scheduler) Review(ctx context.Context, now time.Time) error {
	for w := (sweep{review: true}); w.review; {
		if _, err := s.expire(ctx, &w, now); err != nil {
			return err
		}
	}
	return nil
}
