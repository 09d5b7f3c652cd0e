package scheduler

import "time"

// SetClock has a scheduler that is not started read another clock.
func (s *Scheduler) SetClock(now func() time.Time) { s.now = now }

// SetPlanning has a scheduler that is not started plan so many jobs at once,
// and look at so many each minute of which nothing says that they have changed.
func (s *Scheduler) SetPlanning(atOnce, slice int) { s.planAtOnce, s.planSlice = atOnce, slice }
