package rest

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/shieldhq/shield"
)

// A watchdog cancels its context when nothing has moved for a while.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer
}

func newWatchdog(ctx context.Context, limit time.Duration) *watchdog {
	w := &watchdog{limit: limit}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(limit, func() {
		w.cancel(shield.Errorf(shield.Unavailable, "", "no byte moved for %s", limit))
	})
	return w
}

func (w *watchdog) moved() { w.timer.Reset(w.limit) }

// rest stops the clock until something moves: nobody waits for the other side.
func (w *watchdog) rest() { w.timer.Stop() }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain puts the watchdog's reason, if it has bitten, in the place of the
// error that this led to.
func (w *watchdog) explain(err error) error {
	if w.ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(w.ctx); cause != nil {
		return fmt.Errorf("%w", cause)
	}
	return err
}

// A body is that of one try. Transports may go on reading after they have
// returned; end makes sure that they do not.
type body struct {
	watch *watchdog
	mu    sync.Mutex
	r     io.Reader
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.r == nil {
		return 0, io.ErrClosedPipe
	}
	b.watch.rest()
	n, err := b.r.Read(p)
	b.watch.moved()
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { b.end(); return nil }

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.r = nil
}
