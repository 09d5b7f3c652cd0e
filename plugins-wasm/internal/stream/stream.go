// Package stream has readers and writers that tell afterwards whose an error
// was: that of the archive, or that of the data system.
package stream

import (
	"context"
	"errors"
	"io"
)

// A Reader gives the context's error as soon as there is one, and remembers
// the reader's own.
type Reader struct {
	Ctx context.Context
	R   io.Reader
	Err error // the context's, or that of R, other than io.EOF
}

// Done returns the context's error, if it has one.
func (r *Reader) Done() error {
	if r.Ctx.Err() != nil && r.Err == nil {
		r.Err = context.Cause(r.Ctx)
	}
	return r.Err
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.Done(); err != nil {
		return 0, err
	}
	n, err := r.R.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.Err = err
	}
	return n, err
}

// A Writer remembers the error of its writer.
type Writer struct {
	W   io.Writer
	Err error
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.W.Write(p)
	if err != nil {
		w.Err = err
	}
	return n, err
}
