package pdk

import (
	"io"
	"math"
)

// Copy copies src to dst until the end of src, and returns how many bytes
// that were. In the sandbox the host moves what goes from one of its streams
// to another, like the output of a Command to the blob: those bytes never
// enter the guest. Elsewhere it is a copy in large pieces. As with io.Copy, a
// dst that is an io.ReaderFrom or a src that is an io.WriterTo does it itself;
// that way a plugin can look at the beginning and leave the rest to Copy.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	if n, done, err := copyOnHost(dst, src, math.MaxInt64); done {
		return n, err
	}
	if r, ok := dst.(io.ReaderFrom); ok {
		return r.ReadFrom(src)
	}
	if w, ok := src.(io.WriterTo); ok {
		return w.WriteTo(dst)
	}
	return io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 256<<10))
}

// CopyN is Copy for the next n bytes of src. Its error is io.EOF if src has
// fewer.
func CopyN(dst io.Writer, src io.Reader, n int64) (int64, error) {
	moved, done, err := copyOnHost(dst, src, n)
	if !done {
		moved, err = io.CopyBuffer(struct{ io.Writer }{dst}, io.LimitReader(src, n), make([]byte, min(n+1, 256<<10)))
	}
	if err == nil && moved < n {
		err = io.EOF
	}
	return moved, err
}

// Concat returns a reader of one after the other. Copy still moves those that
// are streams of the host there.
func Concat(readers ...io.Reader) io.Reader { return &concat{readers} }

type concat struct{ rest []io.Reader }

// Read implements io.Reader.
func (c *concat) Read(p []byte) (int, error) {
	for len(c.rest) > 0 {
		n, err := c.rest[0].Read(p)
		if err == io.EOF {
			c.rest, err = c.rest[1:], nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
	return 0, io.EOF
}

// WriteTo implements io.WriterTo.
func (c *concat) WriteTo(w io.Writer) (total int64, err error) {
	for len(c.rest) > 0 && err == nil {
		var n int64
		n, err = Copy(w, c.rest[0])
		total, c.rest = total+n, c.rest[1:]
	}
	return total, err
}
