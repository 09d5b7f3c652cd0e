package scheduler

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// maxBackoff is the longest pause between two attempts, unless the first one
// is longer already.
const maxBackoff = time.Hour

// backoff is how long to wait after so many attempts: first, doubled each
// time up to an hour, and up to a quarter more, so that tasks which failed
// together do not come back together.
func backoff(first time.Duration, attempts int) time.Duration {
	wait := first
	for range min(max(attempts-1, 0), 20) {
		wait = min(wait*2, max(maxBackoff, first))
	}
	return wait + rand.N(wait/4+1)
}

// tryAgain turns the outcome of a failure that may pass into one that makes
// the task pending again, if it has attempts left. It returns what the log is
// told, if there is anything to tell.
func (s *Scheduler) tryAgain(t *shield.Task, o *shield.Outcome, mayPass bool, now time.Time) string {
	if o.Status != shield.TaskFailed || t.MaxAttempts <= 1 {
		return ""
	}
	if !mayPass {
		return fmt.Sprintf("attempt %d of %d failed for good: %s does not pass by itself", t.Attempts, t.MaxAttempts, o.Code)
	}
	if t.Attempts >= t.MaxAttempts {
		return fmt.Sprintf("attempt %d of %d failed: it was the last one", t.Attempts, t.MaxAttempts)
	}
	o.RetryAt = now.Add(backoff(s.firstPause(t), t.Attempts)).UTC()
	if t.Op == shield.OpBackup {
		o.RetryArchive = uuid.NewString()
		o.RetryKey = storeKey(o.RetryAt, o.RetryArchive)
	}
	return fmt.Sprintf("attempt %d of %d failed: the next one is at %s", t.Attempts, t.MaxAttempts, o.RetryAt.Format(time.RFC3339))
}

func attemptText(t *shield.Task) string {
	if t.MaxAttempts > 1 {
		return fmt.Sprintf("attempt %d of %d", t.Attempts, t.MaxAttempts)
	}
	return fmt.Sprintf("attempt %d", t.Attempts)
}

// firstPause is how long to wait after the first attempt.
func (s *Scheduler) firstPause(t *shield.Task) time.Duration {
	if t.Backoff > 0 {
		return time.Duration(t.Backoff) * time.Second
	}
	return s.opts.Backoff
}

// How long a purge waits for a lock of which nobody tells the end, at most for
// one whose end is far off, since locks can be lifted, and at least.
const (
	lockUnknown = time.Hour
	lockMost    = 24 * time.Hour
	lockLeast   = time.Minute
)

// afterLock is when to try again to purge what a store keeps until a time.
func afterLock(until, now time.Time) time.Time {
	wait := lockUnknown
	if !until.IsZero() {
		// Rounded up: stores count in seconds.
		wait = min(max(until.Add(time.Second).Sub(now), lockLeast), lockMost)
	}
	return now.Add(wait).UTC()
}

func waits(until time.Time) string {
	if until.IsZero() {
		return "waits for the store, which keeps this and does not tell until when"
	}
	return "waits for the store, which keeps this until " + until.UTC().Format(time.RFC3339)
}
