package rest

import (
	"context"
	"errors"
	"io"
	"sync"
)

// A Pool is the memory of one stream: slabs that blocks are made of. It
// allocates a slab when it is first wanted.
type Pool struct {
	size int
	free chan []byte
}

// NewPool returns a pool of so many slabs of so many bytes.
func NewPool(slabs, size int) *Pool {
	p := &Pool{size: size, free: make(chan []byte, slabs)}
	for range slabs {
		p.free <- nil
	}
	return p
}

// A Block is a piece of a stream that can be read several times, until it is
// released.
type Block struct {
	Size  int64
	pool  *Pool
	slabs [][]byte
}

// Read fills a block of at most so many slabs from r. It waits for memory, and
// ends when ctx does. Last says that r has ended; the block may then be short,
// or empty. An error is that of r or of ctx.
func (p *Pool) Read(ctx context.Context, r io.Reader, slabs int) (b *Block, last bool, err error) {
	b = &Block{pool: p}
	for range slabs {
		n, err := b.fill(ctx, r)
		b.Size += int64(n)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && ctx.Err() == nil:
			return b, true, nil
		default:
			b.Release()
			return nil, false, err
		}
	}
	return b, false, nil
}

func (b *Block) fill(ctx context.Context, r io.Reader) (int, error) {
	var slab []byte
	select {
	case slab = <-b.pool.free:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	if slab == nil {
		slab = make([]byte, b.pool.size)
	}
	n := 0
	var err error
	for n < len(slab) && err == nil {
		if ctx.Err() != nil {
			// An end that comes after the cancellation may be no end at all.
			err = context.Cause(ctx)
			break
		}
		var m int
		m, err = r.Read(slab[n:])
		n += m
	}
	if n == len(slab) && errors.Is(err, io.EOF) {
		err = nil // it will say so again
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	b.slabs = append(b.slabs, slab)
	return n, err
}

// Reader reads the block from an offset on.
func (b *Block) Reader(from int64) io.Reader { return &blockReader{b: b, at: from} }

// Each calls f with the bytes of the block in order.
func (b *Block) Each(f func([]byte)) {
	left := b.Size
	for _, slab := range b.slabs {
		n := min(left, int64(len(slab)))
		f(slab[:n])
		left -= n
	}
}

// Release gives the memory back. The block must not be used any more.
func (b *Block) Release() {
	for _, slab := range b.slabs {
		b.pool.free <- slab
	}
	b.slabs, b.Size = nil, 0
}

type blockReader struct {
	b  *Block
	at int64
}

func (r *blockReader) Read(p []byte) (int, error) {
	if r.at >= r.b.Size {
		return 0, io.EOF
	}
	size := int64(r.b.pool.size)
	slab := r.b.slabs[r.at/size]
	n := copy(p, slab[r.at%size:min(size, r.b.Size-r.at/size*size)])
	r.at += int64(n)
	return n, nil
}

// A Crew runs pieces of work side by side and remembers the first that fails.
type Crew struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	room   chan struct{}
}

// NewCrew returns a crew of so many hands, and the context that its work
// gets: it ends with the first failure.
func NewCrew(ctx context.Context, hands int) (*Crew, context.Context) {
	c := &Crew{room: make(chan struct{}, hands)}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c, c.ctx
}

// Go runs f as soon as there is a hand for it. Without one because the context
// is done, it calls drop instead.
func (c *Crew) Go(f func(context.Context) error, drop func()) {
	select {
	case c.room <- struct{}{}:
	case <-c.ctx.Done():
		drop()
		return
	}
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		defer func() { <-c.room }()
		if err := f(c.ctx); err != nil {
			c.cancel(err)
		}
	}()
}

// Fail makes the crew stop for a reason.
func (c *Crew) Fail(err error) { c.cancel(err) }

// Wait returns when all is done, with the first failure.
func (c *Crew) Wait() error {
	c.wg.Wait()
	defer c.cancel(nil)
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}
