package fs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// A reader takes a tar stream apart: v7, ustar, pax and GNU, with all four
// formats of sparse files. archive/tar does not say where the holes are, so a
// file of a terabyte that has one byte would take a terabyte of zeros; and it
// takes a stream that was cut off between two files for a whole one.
type reader struct {
	src     *bufio.Reader
	off     int64 // bytes of the stream read
	left    int64 // bytes of the entry's data not read yet
	pad     int64
	globals map[string]string
	block   [blockSize]byte
}

const (
	streamBuffer = 256 << 10
	// extendedLimit bounds the memory that an extended header takes.
	extendedLimit = 16 << 20
)

func newReader(r io.Reader) *reader {
	return &reader{src: bufio.NewReaderSize(r, streamBuffer), globals: map[string]string{}}
}

func (r *reader) damaged(format string, args ...any) error {
	return fmt.Errorf("byte %d of the stream: %w", r.off, fmt.Errorf(format, args...))
}

var errCut = errors.New("the stream ends too early: it was cut off")

// full fills p.
func (r *reader) full(p []byte) error {
	n, err := io.ReadFull(r.src, p)
	r.off += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return r.damaged("%w", errCut)
	}
	return err
}

// chunk returns up to limit bytes of the entry's data, which stay valid until
// the next call.
func (r *reader) chunk(limit int64) ([]byte, error) {
	if _, err := r.src.Peek(1); err != nil {
		if err == io.EOF {
			err = r.damaged("%w", errCut)
		}
		return nil, err
	}
	n := int(min(limit, r.left, int64(r.src.Buffered())))
	p, _ := r.src.Peek(n)
	_, err := r.src.Discard(n)
	r.off += int64(n)
	r.left -= int64(n)
	return p, err
}

// data fills p with the entry's data.
func (r *reader) data(p []byte) error {
	if int64(len(p)) > r.left {
		return r.damaged("an entry has %d bytes left where %d were announced", r.left, len(p))
	}
	r.left -= int64(len(p))
	return r.full(p)
}

// skip passes over what is left of the entry.
func (r *reader) skip() error {
	for r.left > 0 {
		if _, err := r.chunk(r.left); err != nil {
			return err
		}
	}
	err := r.full(r.block[:r.pad])
	r.pad = 0
	return err
}

// drain reads what follows the end mark: programs fill up their last record.
func (r *reader) drain() error {
	_, err := io.Copy(io.Discard, r.src)
	return err
}

// next returns the next header, or io.EOF at the end mark.
func (r *reader) next() (*header, error) {
	var ext extension
	for {
		h, err := r.header()
		if err != nil {
			return nil, err
		}
		switch h.kind {
		case 'x', 'g', 'L', 'K':
			err = r.extended(h, &ext)
		default:
			if err = r.complete(h, &ext); err == nil {
				return h, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

// header reads a header block.
func (r *reader) header() (*header, error) {
	if err := r.skip(); err != nil {
		return nil, err
	}
	if err := r.full(r.block[:]); err != nil {
		return nil, err
	}
	if isZero(r.block[:]) {
		return nil, r.end()
	}
	h, err := parseBlock(r.block[:])
	if err != nil {
		return nil, r.damaged("%w", err)
	}
	if !hasData(h.kind) {
		h.size = 0
	}
	r.left, r.pad = h.size, padding(h.size)
	return h, nil
}

// end checks the second half of the end mark.
func (r *reader) end() error {
	if err := r.full(r.block[:]); err != nil {
		return err
	}
	if !isZero(r.block[:]) {
		return r.damaged("half an end mark: two blocks of zeros are wanted")
	}
	return io.EOF
}

// hasData is false for the kinds whose size field is not about data.
func hasData(kind byte) bool { return kind < kindLink || kind > kindFifo }

// An extension is what extended headers say of the entry that follows.
type extension struct {
	records    map[string]string
	name, link string // of the GNU format
	pairs      []string
}

// extended reads an extended header.
func (r *reader) extended(h *header, ext *extension) error {
	if h.size > extendedLimit {
		return r.damaged("an extended header has %d bytes: at most %d are allowed", h.size, extendedLimit)
	}
	data, err := r.extendedData()
	if err != nil {
		return err
	}
	switch h.kind {
	case 'L':
		ext.name = cString(data)
		return nil
	case 'K':
		ext.link = cString(data)
		return nil
	}
	records, pairs, err := parseRecords(data)
	if err != nil {
		return r.damaged("%w", err)
	}
	if h.kind == 'g' {
		maps.Copy(r.globals, records)
		return nil
	}
	ext.records, ext.pairs = records, pairs
	return nil
}

// extendedData does not trust the announced size with memory.
func (r *reader) extendedData() ([]byte, error) {
	var b bytes.Buffer
	for r.left > 0 {
		p, err := r.chunk(r.left)
		if err != nil {
			return nil, err
		}
		b.Write(p)
	}
	return b.Bytes(), nil
}

// complete adds to h what the extended headers say, and the map of a sparse
// file.
func (r *reader) complete(h *header, ext *extension) error {
	if ext.name != "" {
		h.name = ext.name
	}
	if ext.link != "" {
		h.link = ext.link
	}
	records := ext.records
	if len(r.globals) > 0 {
		records = maps.Clone(r.globals)
		maps.Copy(records, ext.records)
	}
	if err := applyRecords(h, records); err != nil {
		return r.damaged("%w", err)
	}
	if h.kind == 0 || h.kind == '7' {
		h.kind = kindFile
	}
	if h.kind == kindFile && strings.HasSuffix(h.name, "/") {
		h.kind = kindFolder // as tar of 1979 wrote them
	}
	if !hasData(h.kind) {
		h.size = 0
	}
	r.left, r.pad = h.size, padding(h.size)
	return r.holes(h, records, ext.pairs)
}
