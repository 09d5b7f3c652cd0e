package wasmhost

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestRingTake checks that a reader that waits gets every byte in order, be it
// handed over or buffered, with pieces and room of all sizes.
func TestRingTake(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 4<<20)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	g := newRing(4<<10, newSignal(), newSignal())
	go func() {
		for rest := want; len(rest) > 0; {
			p := rest[:min(len(rest), 1+rand.IntN(20_000))]
			n, err := until(t.Context(), g.writable, func() (int, error) { return g.write(p) })
			if err != nil {
				return
			}
			rest = rest[n:]
		}
		g.finish(io.EOF)
	}()
	got := make([]byte, 0, len(want))
	for {
		p := make([]byte, 1+rand.IntN(20_000))
		n, err := g.take(t.Context(), p)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, or others", len(got), len(want))
	}
	if r, w, _ := g.counts(); r != w || w != uint64(len(want)) {
		t.Errorf("it counts %d bytes read and %d written", r, w)
	}
}

// TestRingHands checks that what is written while a reader waits is in its
// hands, and what it has no room for in the ring.
func TestRingHands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRing(8, newSignal(), newSignal())
		p := make([]byte, 4)
		done := make(chan int)
		go func() {
			n, _ := g.take(t.Context(), p)
			done <- n
		}()
		synctest.Wait()
		if n, err := g.write([]byte("abcdefghijklm")); n != 12 || err != nil {
			t.Errorf("%d bytes were written, %v", n, err)
		}
		if n := <-done; string(p[:n]) != "abcd" {
			t.Errorf("it got %q", p[:n])
		}
		g.finish(io.EOF)
		if rest, err := io.ReadAll(ringReader{t.Context(), g}); string(rest) != "efghijkl" || err != nil {
			t.Errorf("the ring holds %q, %v", rest, err)
		}
	})
}

// TestRingTakeStops checks that nobody writes to the room of a reader that has
// gone, and that none is lost of what it was given before.
func TestRingTakeStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRing(8, newSignal(), newSignal())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := []byte("----")
		if n, err := g.take(ctx, p); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if _, err := g.write([]byte("ab")); err != nil {
			t.Fatal(err)
		}
		if string(p) != "----" {
			t.Errorf("what was let go holds %q", p)
		}
		for _, want := range []string{"ab", ""} {
			n, err := g.take(t.Context(), p)
			if string(p[:n]) != want || (want == "") != errors.Is(err, io.EOF) {
				t.Errorf("%q, %v; wanted %q", p[:n], err, want)
			}
			g.finish(io.EOF)
		}
	})
}
