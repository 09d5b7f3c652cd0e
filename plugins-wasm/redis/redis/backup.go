package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// Backup writes an RDB file.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := t.ready(c); err != nil {
		return t.classify(ctx, err)
	}
	space, err := c.info("keyspace")
	if err != nil {
		return t.classify(ctx, err)
	}
	before := countKeys(space)
	if t.Mode == modeLocal {
		return t.backupLocal(ctx, c, w, before)
	}
	r, err := c.replicate()
	if err != nil {
		return t.classify(ctx, err)
	}
	return t.pass(ctx, w, r, before)
}

// pass copies an RDB file and follows its structure, so that one that is not
// whole, or empty though there were keys, is no backup.
func (t *target) pass(ctx context.Context, w io.Writer, r io.Reader, before int64) error {
	out := &stream.Writer{W: w}
	seen, err := t.walk(ctx, io.TeeReader(r, out), false)
	switch {
	case out.Err != nil:
		return out.Err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return t.classify(ctx, fmt.Errorf("the server did not give a whole RDB file: %w", err))
	case before > 0 && seen.keys == 0 && !seen.partly:
		return shield.Errorf(shield.TargetFailed, "redis.backup", "the server had %d keys, but has given none", before)
	}
	t.log(fmt.Sprintf("%d keys in %d databases, %d libraries of functions", seen.keys, len(seen.databases), seen.functions))
	if seen.largest > restoreLimit {
		t.log(fmt.Sprintf("warning: a value of %d bytes is too large for a restore over the network; place the file instead", seen.largest))
	}
	return nil
}

// replicate asks for a copy of everything, as a replica that has nothing yet,
// and returns a reader of it. It is whole when the reader says io.EOF.
func (c *conn) replicate() (io.Reader, error) {
	for _, option := range [][]string{
		{"REPLCONF", "capa", "eof"},
		{"REPLCONF", "rdb-only", "1"}, // do not gather the changes meanwhile; from 7.0 on
	} {
		_, err := c.do(option...)
		var r refusal
		if errors.As(err, &r) && r.kind() == "ERR" {
			continue // an older server
		}
		if err != nil {
			return nil, err
		}
	}
	answer, err := c.text("PSYNC", "?", "-1")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(answer, "FULLRESYNC ") {
		return nil, fmt.Errorf("PSYNC is answered with %q", cut(answer))
	}
	head, err := c.line()
	if err != nil {
		return nil, err
	}
	if mark, ok := strings.CutPrefix(head, "$EOF:"); ok && len(mark) == markSize {
		return bufio.NewReader(&markReader{r: c.r, mark: []byte(mark)}), nil
	}
	if n, err := strconv.ParseInt(strings.TrimPrefix(head, "$"), 10, 64); err == nil && head[0] == '$' && n >= 0 {
		return &exactReader{r: c.r, left: n}, nil
	}
	if head[0] == '-' {
		return nil, refusal(head[1:])
	}
	return nil, fmt.Errorf("%q does not announce an RDB file", cut(head))
}

// An exactReader ends after so many bytes, not sooner.
type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if e.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// markSize is the length of the random mark that ends a file whose length the
// server did not know when it began.
const markSize = 40

// A markReader ends at the mark. The server sends nothing behind it until it
// is told that the file has come, so the mark is always the last that is
// there. It must be read in pieces larger than the mark.
type markReader struct {
	r    io.Reader
	mark []byte
	held []byte // read and not given: the mark, perhaps
}

func (m *markReader) Read(p []byte) (int, error) {
	have := copy(p, m.held)
	for have <= markSize {
		if string(p[:have]) == string(m.mark) {
			return 0, io.EOF
		}
		n, err := m.r.Read(p[have:])
		have += n
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && n == 0 {
			return 0, err
		}
	}
	give := have - markSize
	m.held = append(m.held[:0], p[give:have]...)
	return give, nil
}
