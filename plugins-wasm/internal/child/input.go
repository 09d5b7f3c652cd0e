package child

import (
	"context"
	"errors"
	"io"
)

// Sizes of what an Input reads at once, and of what it keeps to be read again.
const (
	chunkSize = 128 << 10
	keptSize  = 1 << 20
)

// An Input reads a stream for one run of a program after another: what a
// program did not use, because it ended at once, can be given to the next.
type Input struct {
	// Read counts the bytes that were read and given to a program.
	Read int64

	chunks chan chunk
	closed chan struct{}
	kept   []chunk // the beginning
	size   int     // of kept; more than keptSize if it is not all that was read
	next   int     // of kept, that is to be given again
	ended  bool
	sum    io.Writer
}

type chunk struct {
	data []byte
	err  error
}

// NewInput returns an Input that reads r until Close. Everything that it reads
// is written to sum, once.
func NewInput(r io.Reader, sum io.Writer) *Input {
	in := &Input{chunks: make(chan chunk), closed: make(chan struct{}), sum: sum}
	go in.pump(r)
	return in
}

// Close ends the reading. A Read that is under way is left behind.
func (in *Input) Close() { close(in.closed) }

func (in *Input) pump(r io.Reader) {
	for {
		b := make([]byte, chunkSize)
		n, err := r.Read(b)
		select {
		case in.chunks <- chunk{b[:n], err}:
		case <-in.closed:
			return
		}
		if err != nil {
			return
		}
	}
}

// Rewind makes the next program get the stream from its beginning. It reports
// whether that can be done, which is so for the first part of it.
func (in *Input) Rewind() bool {
	if in.size > keptSize {
		return false
	}
	in.next = 0
	return true
}

// Ended reports whether the stream came to a good end and a program was given
// all of it.
func (in *Input) Ended() bool { return in.ended }

// wait waits for the first part of the stream, so that no program is started
// for one that is broken from the beginning.
func (in *Input) wait(ctx context.Context) error {
	if in == nil || in.size > 0 || in.kept != nil {
		return nil
	}
	select {
	case got := <-in.chunks:
		in.keep(got)
		in.next = 0
		if len(got.data) == 0 && got.err != nil && !errors.Is(got.err, io.EOF) {
			return got.err
		}
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// get returns the next chunk; false if the program has ended or is to end.
func (in *Input) get(c *call) (chunk, bool) {
	if in.next < len(in.kept) {
		in.next++
		return in.kept[in.next-1], true
	}
	c.watch.pause()
	defer c.watch.resume()
	select {
	case got := <-in.chunks:
		in.keep(got)
		return got, true
	case <-c.exited:
	case <-c.stopped:
	}
	return chunk{}, false
}

func (in *Input) keep(got chunk) {
	in.Read += int64(len(got.data))
	if in.sum != nil {
		_, _ = in.sum.Write(got.data) // hashes never fail
	}
	if in.size += len(got.data); in.size > keptSize {
		in.kept, in.next = nil, 0
		return
	}
	in.kept = append(in.kept, got)
	in.next = len(in.kept)
}

// feed gives the stream to a program. Only its good end closes the program's
// input.
func (in *Input) feed(c *call) {
	for {
		got, ok := in.get(c)
		if !ok {
			return
		}
		if _, err := c.stdin.Write(got.data); err != nil {
			return // the program has ended, or does not read: its status tells
		}
		c.watch.moved()
		switch {
		case c.ctx.Err() != nil: // an end that is read now proves nothing
			c.end(context.Cause(c.ctx))
			return
		case errors.Is(got.err, io.EOF):
			in.ended = true
			_ = c.stdin.Close()
			return
		case got.err != nil:
			c.end(got.err)
			return
		}
	}
}
