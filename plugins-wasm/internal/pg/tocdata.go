package pg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
)

// The kinds of blocks of data.
const (
	blockData  = 1
	blockBlobs = 3
)

// rowsTail is what ends the rows of a table in a block: pg_dump writes "\."
// and empty lines as psql wants them.
var rowsTail = []byte("\\.\n\n\n")

// Rows reads the blocks of data that follow the table of contents, to the end
// of the archive, and returns how many rows of tables and how many large
// objects they hold, 0 if they are compressed. Corrupt if a block is missing
// or the archive ends early.
func (c *TOC) Rows(r *bufio.Reader) (rows, blobs int64, err error) {
	t := &tocReader{r: r, intSize: c.intSize}
	seen := map[int32]bool{}
	for {
		kind, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		id := int32(t.int())
		switch {
		case kind == blockData:
			rows += c.table(t, c.TableData[id])
		case kind == blockBlobs:
			blobs += c.blobs(t)
		default:
			t.fail(fmt.Errorf("a block of an unknown kind %d", kind))
		}
		if t.err != nil {
			return 0, 0, shield.Errorf(shield.Corrupt, "", "the archive of pg_dump is damaged or cut off in the data of entry %d: %w", id, t.err)
		}
		seen[id] = true
	}
	for _, id := range c.Data {
		if !seen[id] {
			return 0, 0, shield.Errorf(shield.Corrupt, "", "the archive of pg_dump ends early: it has the data of %d of %d entries", len(seen), len(c.Data))
		}
	}
	return rows, blobs, nil
}

// table reads one block of data.
func (c *TOC) table(t *tocReader, isTable bool) (rows int64) {
	var last []byte
	c.pieces(t, func(p []byte) {
		if !isTable || c.Compressed {
			return
		}
		rows += int64(bytes.Count(p, []byte("\n")))
		last = append(last, p[max(0, len(p)-len(rowsTail)):]...)
		last = last[max(0, len(last)-len(rowsTail)):]
	})
	if bytes.Equal(last, rowsTail) {
		rows -= 3
	}
	return rows
}

// blobs reads a block of large objects.
func (c *TOC) blobs(t *tocReader) (n int64) {
	for t.err == nil && t.int() != 0 { // its number
		c.pieces(t, func([]byte) {})
		n++
	}
	return n
}

// pieces calls yield with the pieces of some data, until the one of length 0.
func (c *TOC) pieces(t *tocReader, yield func([]byte)) {
	for t.err == nil {
		n := t.int()
		if n == 0 || t.err != nil {
			return
		}
		if n < 0 {
			t.fail(errors.New("a piece has less than no bytes"))
			return
		}
		for n > 0 && t.err == nil {
			p, err := t.r.Peek(min(n, t.r.Size()))
			if len(p) < min(n, t.r.Size()) {
				t.fail(err)
				return
			}
			yield(p)
			_, _ = t.r.Discard(len(p)) // it is in the buffer
			n -= len(p)
		}
	}
}
