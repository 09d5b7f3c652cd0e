package s3

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shieldhq/shield"
)

// The waits between attempts grow from the first to the last.
const (
	firstWait = 200 * time.Millisecond
	lastWait  = 30 * time.Second
	// longestWait is the most that a server may ask us to wait: beyond it the
	// task ends, to be tried again as a whole.
	longestWait = 2 * time.Minute
)

// attempt calls do until it returns nil or an error that will not pass. Each
// request of ours may be sent twice without harm.
func (s *store) attempt(ctx context.Context, o op, do func(context.Context) error) error {
	wait := firstWait
	for n := 0; ; n++ {
		noted, said := withNote(ctx)
		err := do(noted)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f := s.classify(o, err, said)
		if !f.passes || n >= s.c.Retries {
			return f.after(n + 1)
		}
		pause := max(wait/2+rand.N(wait/2), said.retryAfter)
		if pause > longestWait {
			return f.with(fmt.Sprintf("it asks to wait for %s", said.retryAfter))
		}
		s.log(fmt.Sprintf("%s; again in %s", f.err, pause.Round(time.Millisecond)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait = min(2*wait, lastWait)
	}
}

// A failure is an error of ours and whether trying again may help.
type failure struct {
	err    *shield.Error
	passes bool
}

func (f *failure) after(attempts int) error {
	if attempts == 1 {
		return f.err
	}
	return f.with(fmt.Sprintf("tried %d times", attempts))
}

func (f *failure) with(more string) error {
	f.err.Message += " (" + more + ")"
	return f.err
}
