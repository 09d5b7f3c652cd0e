package s3

import (
	"context"
	"errors"
	"io"
)

// A part is what is sent at once, and its checksums.
type part struct {
	data []byte
	sum  *sum
}

// readFirst reads one part, or all if that is less. What is small takes
// little memory.
func (b *blobWriter) readFirst(ctx context.Context, r io.Reader) (p part, ended bool, err error) {
	const small = 64 << 10
	size := b.s.plan.part
	m, err := b.s.newSummer(!b.until.IsZero())
	if err != nil {
		return part{}, false, err
	}
	defer m.close()
	buf := make([]byte, min(small, size))
	n, ended, err := readFull(ctx, r, buf, m)
	if err != nil {
		return part{}, false, err
	}
	if !ended && n < size {
		whole := make([]byte, size)
		copy(whole, buf)
		buf = whole
		var more int
		if more, ended, err = readFull(ctx, r, buf[n:], m); err != nil {
			return part{}, false, err
		}
		n += more
	}
	sum, err := m.sum()
	return part{buf[:n], sum}, ended, err
}

// readPart reads as much as buf holds.
func (b *blobWriter) readPart(ctx context.Context, r io.Reader, buf []byte) (p part, ended bool, err error) {
	m, err := b.s.newSummer(!b.until.IsZero())
	if err != nil {
		return part{}, false, err
	}
	defer m.close()
	n, ended, err := readFull(ctx, r, buf, m)
	if err != nil {
		return part{}, false, err
	}
	sum, err := m.sum()
	return part{buf[:n], sum}, ended, err
}

// readFull fills buf, or reads to the end of r, and has w see what it read. It
// looks at ctx now and then: a part that cannot be sent ends the upload.
func readFull(ctx context.Context, r io.Reader, buf []byte, w io.Writer) (n int, ended bool, err error) {
	for n < len(buf) {
		if ctx.Err() != nil {
			return n, false, context.Cause(ctx)
		}
		m, err := r.Read(buf[n:min(len(buf), n+1<<20)])
		if _, err := w.Write(buf[n : n+m]); err != nil {
			return n, false, err
		}
		n += m
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
