package pdk

import (
	"context"
	"io"
)

// A carrier of a host stream, wrapped or not.
type hosted interface{ stream() *hostStream }

func (s *hostStream) stream() *hostStream { return s }

func (i *input) stream() *hostStream {
	s, _ := i.r.(*hostStream)
	return s
}

func (o *output) stream() *hostStream {
	s, _ := o.w.(*hostStream)
	return s
}

func streamOf(v any) *hostStream {
	if h, ok := v.(hosted); ok {
		return h.stream()
	}
	return nil
}

func copyOnHost(dst io.Writer, src io.Reader, limit int64) (n int64, done bool, err error) {
	to, from := streamOf(dst), streamOf(src)
	if to == nil || from == nil {
		return 0, false, nil
	}
	in, _ := src.(*input)
	out, _ := dst.(*output)
	if in != nil {
		if err := in.failed(nil); err != nil || in.ended {
			return 0, true, err
		}
	}
	n, err = splice(to, from, limit)
	if out != nil && (err == nil || out.ctx.Err() != nil || !to.writable()) {
		err = out.moved(err)
	}
	if in != nil {
		err = in.moved(n, n < limit, err)
	}
	return n, true, err
}

// writable reports whether the stream still takes bytes: it is not to blame
// for a copy that failed.
func (s *hostStream) writable() bool {
	_, err := s.room()
	return err == nil
}

// moved takes note of bytes that went by without Read.
func (i *input) moved(n int64, ended bool, err error) error {
	i.n += n
	if err := i.failed(err); err != nil {
		return err
	}
	i.ended = ended
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
