package child

import (
	"sync"
	"time"
)

// A watch knows since when a program has moved no byte. It is safe for
// concurrent use.
type watch struct {
	mu     sync.Mutex
	at     time.Time
	paused int // something else is waited for
}

func newWatch() *watch { return &watch{at: time.Now()} }

func (w *watch) moved() { w.change(0) }

// pause is called before something else is waited for, resume after it.
func (w *watch) pause()  { w.change(1) }
func (w *watch) resume() { w.change(-1) }

func (w *watch) change(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = time.Now()
	w.paused += n
}

// idle returns for how long the program has moved nothing.
func (w *watch) idle() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.paused > 0 {
		return 0
	}
	return time.Since(w.at)
}

// run ends the program when it has moved nothing for too long.
func (w *watch) run(c *call) {
	if c.program.Stall <= 0 {
		return
	}
	tick := time.NewTicker(c.program.Stall/20 + time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.exited:
			return
		case <-tick.C:
			if w.idle() >= c.program.Stall {
				c.end(c.hangs())
				return
			}
		}
	}
}

// A stopOnce keeps the first reason to end a program.
type stopOnce struct {
	mu  sync.Mutex
	err error
}

// set reports whether err is the first one.
func (s *stopOnce) set(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	s.err = err
	return true
}

func (s *stopOnce) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
