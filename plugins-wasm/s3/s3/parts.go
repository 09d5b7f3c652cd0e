package s3

import (
	"context"
	"io"
	"sync"

	"github.com/shieldhq/shield"
)

// inParts stores a stream of which the first part was read.
func (b *blobWriter) inParts(ctx context.Context, first part, r io.Reader) error {
	u, err := b.begin(ctx, b.name, b.options())
	if err != nil {
		return err
	}
	l := newLanes(ctx, b.s.c.Parallel, b.s.plan.part)
	defer l.stop()
	err = b.divide(l, u, first, r)
	if waited := l.wait(); err == nil {
		err = waited
	}
	if err == nil {
		err = u.complete(ctx, b.op("complete", "s3:PutObject"))
	}
	if err != nil {
		u.abort(ctx)
	}
	return err
}

// divide sends the stream as the plan says.
func (b *blobWriter) divide(l *lanes, u *upload, first part, r io.Reader) error {
	p := b.s.plan
	l.send(u, 1, first)
	b.size = int64(len(first.data))
	ended, err := b.fill(l, u, 2, p.direct, r)
	for n := range p.segments {
		if ended || err != nil {
			return err
		}
		ended, err = b.segment(l, u, p.direct+1+n, r)
	}
	if ended || err != nil {
		return err
	}
	return shield.Errorf(shield.Invalid, b.op("send", "").String(), "%sthe archive has 5 TiB or more, which S3 does not take", b.s.place())
}

// fill sends parts from one number to another.
func (b *blobWriter) fill(l *lanes, u *upload, from, to int, r io.Reader) (ended bool, err error) {
	for n := from; n <= to && !ended; n++ {
		buf, err := l.take()
		if err != nil {
			return false, err
		}
		var p part
		if p, ended, err = b.readPart(l.ctx, r, buf); err != nil {
			return false, err
		}
		if len(p.data) > 0 {
			l.send(u, n, p)
			b.size += int64(len(p.data))
		}
	}
	return ended, nil
}

// lanes send parts at the same time, each in a buffer that is used again. The
// first failure ends them all.
type lanes struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	free   chan []byte // a nil one is yet to be made
	part   int
	wg     sync.WaitGroup
}

func newLanes(ctx context.Context, count, part int) *lanes {
	l := &lanes{free: make(chan []byte, count), part: part}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	for range count - 1 { // one more comes with the first part
		l.free <- nil
	}
	return l
}

// take waits for a buffer.
func (l *lanes) take() ([]byte, error) {
	select {
	case b := <-l.free:
		if b == nil {
			b = make([]byte, l.part)
		}
		return b, nil
	case <-l.ctx.Done():
		return nil, context.Cause(l.ctx)
	}
}

// send sends a part and frees its buffer afterwards.
func (l *lanes) send(u *upload, number int, p part) {
	l.wg.Go(func() {
		if err := u.send(l.ctx, number, p); err != nil {
			l.cancel(err)
		}
		l.free <- p.data[:cap(p.data)]
	})
}

// wait waits until all was sent, or something has failed.
func (l *lanes) wait() error {
	l.wg.Wait()
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return nil
}

// stop ends what is being sent.
func (l *lanes) stop() {
	l.cancel(context.Canceled)
	l.wg.Wait()
}
