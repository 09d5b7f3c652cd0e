package fs

import (
	"io"
	"os"
)

const (
	sinkBuffer = 1 << 20
	// directSize is the size from which content goes to the writer's own
	// buffer rather than through ours.
	directSize = 8 << 10
)

// A sink gathers small pieces into large writes. Content is read into the
// buffer of whoever has one: ours, or that of a writer with ReadFrom.
type sink struct {
	w   io.Writer
	own io.ReaderFrom // nil: w has no buffer
	buf []byte
	n   int64 // bytes so far
}

func newSink(w io.Writer) *sink {
	s := &sink{w: w, buf: make([]byte, 0, sinkBuffer)}
	// A file has ReadFrom for the sake of copying in the kernel, which our
	// content does not allow; it would read in small pieces.
	if _, isFile := w.(*os.File); !isFile {
		s.own, _ = w.(io.ReaderFrom)
	}
	return s
}

// header appends a header, and flushes if the buffer is nearly full.
func (s *sink) header(e *encoder, h *header) error {
	at := len(s.buf)
	s.buf = e.append(s.buf, h)
	s.n += int64(len(s.buf) - at)
	if len(s.buf) < sinkBuffer-directSize {
		return nil
	}
	return s.flush()
}

// zeros appends up to two blocks of zeros.
func (s *sink) zeros(n int64) {
	s.buf = append(s.buf, zeros[:n]...)
	s.n += n
}

// content copies all of r, which has size bytes, and pads it to a block. Its
// error is the writer's or r's.
func (s *sink) content(r io.Reader, size int64) error {
	if s.own != nil && size >= directSize {
		if err := s.flush(); err != nil {
			return err
		}
		n, err := s.own.ReadFrom(r)
		s.n += n
		s.zeros(padding(size))
		return err
	}
	for left := size; left > 0; {
		if len(s.buf) >= sinkBuffer {
			if err := s.flush(); err != nil {
				return err
			}
		}
		room := min(left, int64(sinkBuffer-len(s.buf)))
		n, err := r.Read(s.buf[len(s.buf) : len(s.buf)+int(room)])
		s.buf = s.buf[:len(s.buf)+n]
		s.n += int64(n)
		left -= int64(n)
		if err != nil {
			return err
		}
	}
	s.zeros(padding(size))
	return nil
}

func (s *sink) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}
