package archive

import (
	"encoding/binary"
	"io"
)

// A payload is the opened bytes of a blob as one stream, read by one
// goroutine.
type payload struct {
	r      *Reader
	offset int64  // of rest in the payload
	rest   []byte // of the current chunk
	cur    *batch
	chunk  int // of cur, the next one
}

// fill reads exactly len(p) bytes. It returns io.EOF if there was none left,
// and Corrupt if there were some but not enough.
func (p *payload) fill(buf []byte) error {
	for done := 0; done < len(buf); {
		if err := p.more(); err == io.EOF && done > 0 {
			return corruptf("payload ends at offset %d, inside a frame: cut short", p.offset)
		} else if err != nil {
			return err
		}
		done += p.take(copy(buf[done:], p.rest))
	}
	return nil
}

// skip passes over n bytes.
func (p *payload) skip(n int64) error {
	for n > 0 {
		if err := p.more(); err == io.EOF {
			return corruptf("payload ends at offset %d, inside a frame: cut short", p.offset)
		} else if err != nil {
			return err
		}
		n -= int64(p.take(int(min(n, int64(len(p.rest))))))
	}
	return nil
}

func (p *payload) take(n int) int {
	p.rest = p.rest[n:]
	p.offset += int64(n)
	return n
}

// more makes sure that rest is not empty.
func (p *payload) more() error {
	for len(p.rest) == 0 {
		if p.cur == nil {
			if err := p.fetch(); err != nil {
				return err
			}
		}
		if p.rest = p.cur.plain(p.chunk, p.r.seal.overhead()); p.rest != nil {
			p.chunk++
			continue
		}
		if p.cur.err != nil {
			return p.cur.err
		}
		if p.cur.last {
			return io.EOF
		}
		p.r.freeBatches <- p.cur
		p.cur = nil
	}
	return nil
}

func (p *payload) fetch() error {
	select {
	case p.cur = <-p.r.toSplit:
		p.chunk = 0
	case <-p.r.stop:
		return errClosed
	}
	if !p.r.wait(p.cur.ready) {
		return errClosed
	}
	return nil
}

func (p *payload) uint32() (uint32, error) {
	var b [4]byte
	if err := p.fill(b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}
