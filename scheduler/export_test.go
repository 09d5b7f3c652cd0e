package scheduler

import "time"

// SetClock has a scheduler that is not started read another clock.
func (s *Scheduler) SetClock(now func() time.Time) { s.now = now }
