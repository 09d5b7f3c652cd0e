package wasmhost

import (
	"errors"
	"io"
	"testing"
)

// TestReadyForWriting checks that a guest waits for room in what it writes
// to, whatever that is: with an answer of "ready" at once it would ask again
// and again instead of waiting.
func TestReadyForWriting(t *testing.T) {
	t.Parallel()
	newStream := func() *stream { return &stream{out: newRing(16, newSignal(), newSignal())} }
	for name, h := range map[string]handle{
		"stream":     newStream(),
		"command":    &child{stream: newStream()},
		"connection": &link{stream: newStream()},
	} {
		if ready(h, pollWrite) != pollWrite {
			t.Errorf("%s: not ready although it is empty", name)
		}
		if _, err := h.write(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		if ready(h, pollWrite) != 0 {
			t.Errorf("%s: ready although it is full", name)
		}
		if err := h.shut(); !errors.Is(err, errAgain) {
			t.Errorf("%s: shut: %v", name, err)
		}
		if ready(h, pollWrite) != 0 {
			t.Errorf("%s: ready although nobody has read it", name)
		}
	}
	s := newStream()
	s.out.abandon(io.ErrClosedPipe)
	if ready(&child{stream: s}, pollWrite) != pollWrite {
		t.Error("not ready although writing would tell of a failure")
	}
}
