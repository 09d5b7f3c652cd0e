package task

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A transfer watches one task: it counts the bytes, reports progress, ends
// what is idle, and remembers which side failed first.
type transfer struct {
	call   *call
	cancel context.CancelCauseFunc

	total    atomic.Int64 // raw bytes expected; 0: unknown
	stream   atomic.Value // a counter, once the archive stream is open
	activity atomic.Int64 // bytes of the store's outside of the stream's counts
	// waiting counts the calls that wait for the store at this moment, so
	// that an idle task can be blamed on the right side.
	waiting atomic.Int32
	// throttled counts the streams that wait for the limit of their store at
	// this moment.
	throttled atomic.Int32

	mu    sync.Mutex
	side  shield.Code
	first error
}

// A counter is an archive.Writer or Reader.
type counter interface {
	Progress() (raw, stored int64)
}

func (t *transfer) counts() (raw, stored int64) {
	if c, ok := t.stream.Load().(counter); ok {
		return c.Progress()
	}
	return 0, 0
}

// fail records err as the failure of a side, unless one was recorded before.
func (t *transfer) fail(side shield.Code, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.side, t.first = side, err
	}
}

// verdict returns the first failure as the error of the task.
func (t *transfer) verdict(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		return stopped(ctx)
	}
	return t.call.blame(ctx, t.side, t.first)
}

// watch reports progress twice a second and cancels the task when no byte
// has moved for the idle timeout. It returns when ctx is done.
func (t *transfer) watch(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	idle := t.idleTimeout()
	meter := newMeter(time.Now())
	var last [3]int64
	moved := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			raw, stored := t.counts()
			if seen := [3]int64{raw, stored, t.activity.Load()}; seen != last || t.throttled.Load() > 0 {
				last, moved = seen, now
			}
			t.call.diag.monitor.Progress(shield.Progress{
				RawBytes: raw, StoredBytes: stored, TotalBytes: t.total.Load(), Rate: meter.rate(now, raw),
			})
			if now.Sub(moved) >= idle {
				t.cancel(t.idleError(idle, raw, stored))
				return
			}
		}
	}
}

// idleTimeout is the task's own, or the runner's.
func (t *transfer) idleTimeout() time.Duration {
	if own := t.call.task.IdleTimeout; own > 0 {
		return time.Duration(own) * time.Second
	}
	return t.call.runner.opts.IdleTimeout
}

func (t *transfer) idleError(idle time.Duration, raw, stored int64) error {
	name, plugin, side := t.call.task.TargetName, t.call.task.TargetPlugin, "target"
	if t.waiting.Load() > 0 {
		name, plugin, side = t.call.task.StoreName, t.call.task.StorePlugin, "store"
	}
	return shield.Errorf(shield.TimedOut, string(t.call.task.Op),
		"%s %s (%s) hangs: no byte moved for %s (%d raw bytes, %d stored so far)", side, name, plugin, idle, raw, stored)
}

// progress is the final count.
func (t *transfer) progress() shield.Progress {
	raw, stored := t.counts()
	return shield.Progress{RawBytes: raw, StoredBytes: stored, TotalBytes: t.total.Load()}
}

// A meter tells the rate over the last few seconds.
type meter struct {
	at    []time.Time
	bytes []int64
}

func newMeter(start time.Time) *meter { return &meter{at: []time.Time{start}, bytes: []int64{0}} }

func (m *meter) rate(now time.Time, n int64) int64 {
	const window = 10
	m.at, m.bytes = append(m.at, now), append(m.bytes, n)
	if len(m.at) > window {
		m.at, m.bytes = m.at[1:], m.bytes[1:]
	}
	d := now.Sub(m.at[0])
	if d <= 0 {
		return 0
	}
	return int64(float64(n-m.bytes[0]) / d.Seconds())
}

// waitingWriter marks the time spent in writes to the store.
type waitingWriter struct {
	w io.Writer
	t *transfer
}

func (w waitingWriter) Write(p []byte) (int, error) {
	w.t.waiting.Add(1)
	defer w.t.waiting.Add(-1)
	return w.w.Write(p)
}

// movingReader counts what a store takes: the counts of the stream grow only
// when it has taken a whole piece.
type movingReader struct {
	r io.Reader
	t *transfer
}

func (r movingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.t.activity.Add(int64(n))
	return n, err
}

// A sealedReader is the stream of an archive. Its digest is set before its end
// is given.
type sealedReader struct {
	movingReader
	digest string
}

var _ plugin.Digester = (*sealedReader)(nil)

// Digest returns the digest of what was read, at its end.
func (r *sealedReader) Digest() string { return r.digest }

// waitingReader marks the time spent in reads from the store, and records
// the store's errors.
type waitingReader struct {
	r io.Reader
	t *transfer
}

func (r waitingReader) Read(p []byte) (int, error) {
	r.t.waiting.Add(1)
	defer r.t.waiting.Add(-1)
	n, err := r.r.Read(p)
	r.t.activity.Add(int64(n))
	if err != nil && err != io.EOF {
		r.t.fail(shield.StoreFailed, err)
	}
	return n, err
}
