package wasmhost

import (
	"context"
	"errors"
	"io"
	"sync"
)

// The sizes of rings, powers of two. The blob's are large, since a whole
// archive goes through them.
const (
	blobRing   = 1 << 20
	streamRing = 256 << 10
	bodyRing   = 1 << 20 // of what a guest sends by HTTP
)

// A ring is a bounded buffer between the guest, which has one thread that
// must not be blocked without need, and a goroutine of the host, so that
// sockets and children run on other cores than the guest. It has one reader
// and one writer. No method waits but those with a context.
//
// The writer owns the free part and the reader the filled one, so that both
// work on the buffer without the lock.
type ring struct {
	size int

	mu   sync.Mutex
	buf  []byte // made on first use
	r, w uint64 // bytes ever read and written
	end  error  // after the last byte: io.EOF, or what went wrong
	gone error  // why the writer need not go on
	want []byte // where a reader that waits has room, while the ring is empty
	got  int    // bytes that were put there
	// Signals to whoever waits for bytes, and for space.
	readable, writable chan struct{}
}

// newRing returns a ring whose sides wait on the given channels, each of
// which must have room for one signal.
func newRing(size int, readable, writable chan struct{}) *ring {
	return &ring{size: size, readable: readable, writable: writable}
}

func newSignal() chan struct{} { return make(chan struct{}, 1) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// peek returns bytes to be read, errAgain if there are none yet, or the error
// that the stream has ended with.
func (g *ring) peek() ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.w - g.r
	if n == 0 {
		if g.end != nil {
			return nil, g.end
		}
		return nil, errAgain
	}
	from := int(g.r) & (g.size - 1)
	return g.buf[from:min(from+int(n), g.size)], nil
}

// advance says that n of the bytes that peek returned are done with.
func (g *ring) advance(n int) {
	g.mu.Lock()
	g.r += uint64(n)
	c := g.writable
	g.mu.Unlock()
	nudge(c)
}

// space returns where bytes can be written, errAgain if all is full, or why
// none are wanted any more.
func (g *ring) space() ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone != nil {
		return nil, g.gone
	}
	if g.end != nil {
		return nil, errPipe
	}
	free := uint64(g.size) - (g.w - g.r)
	if free == 0 {
		return nil, errAgain
	}
	if g.buf == nil {
		g.buf = make([]byte, g.size)
	}
	from := int(g.w) & (g.size - 1)
	return g.buf[from:min(from+int(free), g.size)], nil
}

// roomy reports whether half of the ring is free, or writing would fail. A
// writer that is woken for less wakes too often.
func (g *ring) roomy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.gone != nil || g.end != nil || g.w-g.r <= uint64(g.size/2)
}

// commit says that n bytes were put into what space returned.
func (g *ring) commit(n int) {
	g.mu.Lock()
	g.w += uint64(n)
	c := g.readable
	g.mu.Unlock()
	nudge(c)
}

// finish ends the stream after the bytes that were written. The first end
// counts.
func (g *ring) finish(err error) {
	g.mu.Lock()
	if g.end == nil {
		g.end = err
	}
	readable, writable := g.readable, g.writable
	g.mu.Unlock()
	nudge(readable)
	nudge(writable)
}

// abandon makes the writer's next attempt fail with err.
func (g *ring) abandon(err error) {
	g.mu.Lock()
	if g.gone == nil {
		g.gone = err
	}
	readable, writable := g.readable, g.writable
	g.mu.Unlock()
	nudge(writable)
	nudge(readable)
}

// drained returns errAgain while bytes wait for the reader. If the reader has
// gone before it took all, it returns why.
func (g *ring) drained() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.w == g.r:
		return nil
	case g.gone != nil:
		return g.gone
	}
	return errAgain
}

// rewire changes where the sides wait; nil leaves one as it is.
func (g *ring) rewire(readable, writable chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if readable != nil {
		g.readable = readable
	}
	if writable != nil {
		g.writable = writable
	}
}

// counts returns how many bytes were read and written, and how it ended.
func (g *ring) counts() (r, w uint64, end error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.r, g.w, g.end
}

// write puts in as much of p as there is room for.
func (g *ring) write(p []byte) (int, error) {
	total := g.hand(p)
	for total < len(p) {
		b, err := g.space()
		if err != nil {
			if total > 0 {
				break
			}
			return 0, err
		}
		n := copy(b, p[total:])
		g.commit(n)
		total += n
	}
	return total, nil
}

// read takes out as much as there is and p has room for.
func (g *ring) read(p []byte) (int, error) {
	b, err := g.peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	g.advance(n)
	return n, nil
}

// take reads as read does, but waits for bytes. What is written meanwhile goes
// straight into p, which saves a copy.
func (g *ring) take(ctx context.Context, p []byte) (int, error) {
	n, err := until(ctx, g.readable, func() (int, error) { return g.receive(p) })
	if err == nil {
		return n, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.got > 0 { // ctx was done too late
		n, err = g.got, nil
	}
	g.want, g.got = nil, 0
	return n, err
}

// receive returns what was handed over, or read, and else leaves p to the
// writer.
func (g *ring) receive(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.got
	g.want, g.got = nil, 0
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case g.w != g.r:
		g.mu.Unlock()
		defer g.mu.Lock()
		return g.read(p)
	case g.end != nil:
		return 0, g.end
	}
	g.want = p
	return 0, errAgain
}

// hand gives a reader that waits as much of p as it has room for.
func (g *ring) hand(p []byte) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.w != g.r || g.gone != nil || g.end != nil {
		return 0
	}
	n := copy(g.want[g.got:], p)
	g.got += n
	g.r, g.w = g.r+uint64(n), g.w+uint64(n)
	if n > 0 {
		nudge(g.readable)
	}
	return n
}

// until calls attempt again after each signal, until it returns something
// else than errAgain or ctx is done.
func until[T any](ctx context.Context, signals <-chan struct{}, attempt func() (T, error)) (T, error) {
	for {
		v, err := attempt()
		if !errors.Is(err, errAgain) {
			return v, err
		}
		select {
		case <-signals:
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
	}
}

// fill writes what r gives until its end, and returns its error; nil is for
// io.EOF. The stream is not ended: that is for the caller to decide.
func (g *ring) fill(ctx context.Context, r io.Reader) error {
	for {
		b, err := until(ctx, g.writable, g.space)
		if err != nil {
			return err
		}
		n, err := r.Read(b)
		if n > 0 {
			g.commit(n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// drain writes all that the ring gives to w, until its end.
func (g *ring) drain(ctx context.Context, w io.Writer) error {
	for {
		b, err := until(ctx, g.readable, g.peek)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := w.Write(b)
		g.advance(n)
		if err != nil {
			return err
		}
	}
}

// A ringReader reads a ring as an io.Reader does, waiting for bytes.
type ringReader struct {
	ctx context.Context
	*ring
}

// Read implements io.Reader.
func (r ringReader) Read(p []byte) (int, error) {
	return r.take(r.ctx, p)
}
