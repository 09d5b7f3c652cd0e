package tool

import (
	"context"
	"io"

	"github.com/shieldhq/shield"
)

// Inspect lets parse read r to its end. An error of parse is Corrupt, unless
// it is that of r, or ctx is done: those come through as they are. What names
// the stream, like "the dump".
func Inspect(ctx context.Context, r io.Reader, what string, parse func(io.Reader) error) error {
	w := &watched{ctx: ctx, r: r}
	err := parse(w)
	switch {
	case w.err != nil:
		return w.err
	case err != nil:
		return shield.Errorf(shield.Corrupt, "", "%s is not whole: %w", what, err)
	}
	return nil
}

// A watched reader ends with its context and remembers its error.
type watched struct {
	ctx context.Context
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		w.err = context.Cause(w.ctx)
		return 0, w.err
	}
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
