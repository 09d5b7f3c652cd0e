package child

import (
	"context"
	"errors"
	"io"
)

// errClosed is why a program ends whose output nobody wants any more.
var errClosed = errors.New("closed by the reader")

// Stream returns what run writes, as a reader whose end is io.EOF only if run
// succeeded. Closing it ends run and waits for that.
func Stream(ctx context.Context, run func(ctx context.Context, w io.Writer) error) io.ReadCloser {
	ctx, cancel := context.WithCancelCause(ctx)
	r, w := io.Pipe()
	s := &stream{PipeReader: r, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		w.CloseWithError(run(ctx, w)) // nil is io.EOF
	}()
	// Who waits in a Read is not to wait until the program has ended.
	s.release = context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
	return s
}

type stream struct {
	*io.PipeReader
	cancel  context.CancelCauseFunc
	release func() bool
	done    chan struct{}
}

// Close implements io.Closer.
func (s *stream) Close() error {
	_ = s.PipeReader.Close() // never fails
	s.cancel(errClosed)
	<-s.done
	s.release()
	return nil
}
