package wasmhost

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestSplicePatience checks for how long a copy goes on: long, unless the guest
// waits for something else, too, and that has come.
func TestSplicePatience(t *testing.T) {
	t.Parallel()
	const other = firstHandle
	for name, c := range map[string]struct {
		polled []byte
		want   time.Duration
	}{
		"nothing else":         {nil, spliceLong},
		"what has not come":    {subscribed(other, pollRead), spliceLong},
		"what is copied":       {subscribed(stdinHandle, pollRead), spliceLong},
		"where it is copied":   {subscribed(stdoutHandle, pollWrite), spliceLong},
		"a handle that is not": {subscribed(other+1, pollRead), spliceLong},
		"what has come":        {append(subscribed(stdinHandle, pollRead), subscribed(other, pollWrite)...), spliceTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &instance{ctx: context.Background(), wake: newSignal(), polled: c.polled}
				in, out := newRing(64, i.wake, newSignal()), newRing(64, newSignal(), i.wake)
				src, dst := &stream{in: in}, &stream{out: out}
				i.handles = map[int32]handle{
					stdinHandle: src, stdoutHandle: dst,
					other: &stream{in: newRing(64, i.wake, newSignal()), out: newRing(64, newSignal(), i.wake)},
				}
				_, _ = in.write([]byte("a"))
				time.AfterFunc(spliceTime/2, func() { _, _ = in.write([]byte("b")) })
				began := time.Now()
				n, err := i.splice(dst, src, 64)
				if took := time.Since(began); n != 2 || err != nil || took != c.want {
					t.Errorf("moved %d bytes in %v, %v: want 2 in %v", n, took, err, c.want)
				}
			})
		})
	}
}

func subscribed(h int32, want uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(h))
	return binary.LittleEndian.AppendUint32(b, uint32(want))
}

// TestPacedGathers checks that a program is left alone the longer the slower it
// writes, and not at all when it is fast.
func TestPacedGathers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size  int // of a write
		every time.Duration
		asks  bool // the guest writes before each read
		want  int  // reads of 4 MiB
	}{
		// The first 256 of 4096 writes are not held up.
		"slow":      {1 << 10, time.Millisecond, false, 500},
		"asked for": {1 << 10, time.Millisecond, true, 4096},
		"fast":      {64 << 10, time.Millisecond, false, 64},
		"late":      {64 << 10, time.Second, false, 64},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 4 << 20
				g := newRing(1<<20, newSignal(), newSignal())
				go func() {
					for range size / c.size {
						time.Sleep(c.every)
						for b := make([]byte, c.size); len(b) > 0; {
							n, err := until(t.Context(), g.writable, func() (int, error) { return g.write(b) })
							if err != nil {
								return
							}
							b = b[n:]
						}
					}
					g.finish(io.EOF)
				}()
				r := ringReader{t.Context(), g}
				asked, p := newRing(8<<10, newSignal(), newSignal()), paceIn(r)
				if c.asks {
					p = paceAnswers(r, asked)
				}
				buf, reads, total := make([]byte, 256<<10), 0, 0
				for {
					_, _ = asked.write([]byte{1})
					n, err := p.Read(buf)
					total += n
					if errors.Is(err, io.EOF) {
						break
					}
					reads++
				}
				if total != size || reads != c.want {
					t.Errorf("%d bytes in %d reads: want %d in %d", total, reads, size, c.want)
				}
			})
		})
	}
}
