package pdk

import (
	"context"
	"io"
)

// Copy copies src to dst until the end of src, and returns how many bytes
// that were. In the sandbox the host moves what goes from one of its streams
// to another, like the output of a Command to the blob: those bytes never
// enter the guest. Elsewhere it is a copy in large pieces.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	if n, done, err := copyOnHost(dst, src); done {
		return n, err
	}
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
}

// moved takes note of bytes that went by without Read.
func (i *input) moved(n int64, err error) error {
	i.n += n
	if err := i.failed(err); err != nil {
		return err
	}
	i.ended = true
	return nil
}

// moved takes note of how bytes went by without Write.
func (o *output) moved(err error) error {
	if o.err == nil && o.ctx.Err() != nil {
		o.err = context.Cause(o.ctx)
	}
	if o.err == nil {
		o.err = err
	}
	return o.err
}
