package pdk

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/shieldhq/shield"
)

// input is the plugin's standard input. Once the context is done it gives the
// context's error and never io.EOF: the host stops a plugin because its
// stream is incomplete, and an end read at that moment proves nothing.
type input struct {
	ctx   context.Context
	r     io.Reader
	n     int64
	ended bool
	err   error // other than io.EOF
}

func (i *input) Read(p []byte) (int, error) {
	if err := i.failed(nil); err != nil {
		return 0, err
	}
	n, err := i.r.Read(p)
	i.n += int64(n)
	if err == nil {
		return n, nil
	}
	if err := i.failed(err); err != nil {
		return n, err
	}
	i.ended = true
	return n, io.EOF
}

// failed returns the error that reading has ended with, if it has.
func (i *input) failed(err error) error {
	if i.err == nil && i.ctx.Err() != nil {
		i.err = context.Cause(i.ctx)
	}
	if i.err == nil && err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return i.err
}

// complete says whether a plugin that reports success has read its input to
// the end.
func (i *input) complete() error {
	if i.err != nil || i.ended {
		return i.err
	}
	if n, err := io.ReadFull(i, make([]byte, 1)); n > 0 {
		return shield.Errorf(shield.PluginFailed, "", "the plugin stopped reading after %d bytes", i.n-1)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// output is the plugin's standard output. It keeps its first error, so that
// a plugin that drops one still fails.
type output struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err == nil && o.ctx.Err() != nil {
		o.err = context.Cause(o.ctx)
	}
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

func (o *output) copyFrom(r io.Reader) error {
	_, err := Copy(o, r)
	return err
}

// interrupt ends a Read that waits for input, where that can be done. Without
// it a plugin that is told to stop would wait for bytes that never come, and
// be killed before it could clean up.
func interrupt(r io.Reader) {
	if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = d.SetReadDeadline(time.Unix(1, 0))
	}
}
