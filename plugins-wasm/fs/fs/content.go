package fs

import (
	"context"
	"io"
)

// readLimit bounds what is read between two looks at the context.
const readLimit = 1 << 20

// content reads the data of an open file, always as many bytes as its header
// announced: zeros stand for what the file does not give any more. Its Read
// fails only when the context is done, so that the stream stays well-formed
// whatever happens to the file.
type content struct {
	ctx  context.Context
	f    file
	runs []extent
	lost error // why bytes are missing; io.ErrUnexpectedEOF if the file shrank
}

func (c *content) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	for len(c.runs) > 0 && c.runs[0].size == 0 {
		c.runs = c.runs[1:]
	}
	if len(c.runs) == 0 {
		return 0, io.EOF
	}
	run := &c.runs[0]
	p = p[:min(int64(len(p)), run.size, readLimit)]
	n := c.fill(p, run.off)
	run.off += int64(n)
	run.size -= int64(n)
	return n, nil
}

func (c *content) fill(p []byte, off int64) int {
	if c.lost == nil {
		n, err := c.f.readAt(p, off)
		if n > 0 || len(p) == 0 {
			return n
		}
		if c.lost = err; err == nil {
			c.lost = io.ErrUnexpectedEOF
		}
	}
	clear(p)
	return len(p)
}
