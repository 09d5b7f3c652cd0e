package wasmhost

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
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

// TestPaced checks that a program's output is all there, however it comes.
func TestPaced(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("0123456789abcdef"), 40<<10) // more than what is not held up
	for name, r := range map[string]io.Reader{
		"whole":     bytes.NewReader(want),
		"4 KiB":     &pieces{want, 4 << 10},
		"with last": iotest.DataErrReader(&pieces{want, 100 << 10}),
	} {
		got, err := io.ReadAll(paceIn(r))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(want), err)
		}
	}
}

// pieces gives some bytes a time.
type pieces struct {
	b    []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.b)
	p.b = p.b[n:]
	return n, nil
}
