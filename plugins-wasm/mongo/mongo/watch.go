package mongo

import (
	"context"
	"time"
)

// again is how long it takes to look after a server that has closed a
// connection but takes new ones.
const again = time.Second

// run runs a tool for as long as the server is there: mongodump may wait for
// ever for one that has died.
func (t *target) run(ctx context.Context, tool func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.watch(ctx, cancel)
	}()
	err := tool(ctx)
	cancel(nil)
	<-done
	return err
}

// watch keeps a connection that nothing is sent over. When it is closed and
// no other can be had, the server has died.
func (t *target) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for ctx.Err() == nil {
		c, err := t.dial(ctx)
		if err != nil {
			cancel(err)
			return
		}
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		_, _ = c.Read(make([]byte, 1)) // nothing comes but the end
		stop()
		_ = c.Close()
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}
