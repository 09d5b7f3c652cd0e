package wasmhost

import (
	"errors"
	"io"
	"testing"
)

// TestWritable: poll calls a handle ready for writing only when a write would
// not wait, whatever the handle is made of. A guest would turn on the spot.
func TestWritable(t *testing.T) {
	for name, wrap := range map[string]func(*stream) handle{
		"stream":  func(s *stream) handle { return s },
		"command": func(s *stream) handle { return &child{stream: s} },
	} {
		s := &stream{out: newRing(16, newSignal(), newSignal())}
		h := wrap(s)
		if !writable(h) {
			t.Errorf("%s: not writable although it is empty", name)
		}
		if n, err := h.write(make([]byte, 16)); n != 16 || err != nil {
			t.Fatalf("%s: %d, %v", name, n, err)
		}
		if _, err := h.write([]byte{1}); !again(err) || writable(h) {
			t.Errorf("%s: writable although it is full: %v", name, err)
		}
		if err := h.shut(); !again(err) || writable(h) {
			t.Errorf("%s: shut although it is full: %v", name, err)
		}
		s.out.advance(16)
		if err := h.shut(); err != nil || !writable(h) {
			t.Errorf("%s: not shut although it is empty: %v", name, err)
		}
		if _, err := s.out.peek(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the other side reads %v", name, err)
		}
	}
}
