package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

var errBoom = errors.New("boom")

// A limited destination takes some writes and fails then.
type limited struct {
	bytes.Buffer
	writes int
	short  bool // fail by taking less than all, without an error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.writes--; l.writes >= 0 {
		return l.Buffer.Write(p)
	}
	if l.short {
		return l.Buffer.Write(p[:len(p)/2])
	}
	return 0, errBoom
}

// settle waits until no more goroutines run than before.
func settle(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			buf := make([]byte, 64<<10)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(time.Millisecond)
	}
}

func TestDestinationFails(t *testing.T) {
	before := runtime.NumGoroutine()
	id := identity(t)
	raw := random(2 << 20)
	for _, short := range []bool{false, true} {
		for n, failed := 0, true; failed; n++ {
			dst := &limited{writes: n, short: short}
			w, err := archive.NewWriter(dst, header(), &archive.WriterOptions{Recipients: []age.Recipient{id.Recipient()}})
			if err != nil {
				t.Fatal(err)
			}
			_, werr := w.Write(raw)
			_, err = w.Close()
			failed = err != nil
			if !failed {
				if n < 4 {
					t.Errorf("archive of %d bytes took %d writes", dst.Len(), n)
				}
				break
			}
			want := map[bool]error{false: errBoom, true: io.ErrShortWrite}[short]
			if !errors.Is(err, want) || werr != nil && !errors.Is(werr, want) {
				t.Errorf("after %d writes: Write %v, Close %v, wanted %v", n, werr, err, want)
			}
			if _, _, err := open(&dst.Buffer, &archive.ReaderOptions{Identities: []age.Identity{id}}); err == nil {
				t.Errorf("after %d writes: what was left is a good archive", n)
			}
		}
	}
	settle(t, before)
}

func TestAbort(t *testing.T) {
	before := runtime.NumGoroutine()
	id := identity(t)
	raw := slices.Concat(text(1<<20), random(1<<20+77))
	for _, recipients := range [][]age.Recipient{nil, {id.Recipient()}} {
		for at := 0; at <= len(raw); at += 1 + len(raw)/13 {
			var dst bytes.Buffer
			w, err := archive.NewWriter(&dst, header(), &archive.WriterOptions{Recipients: recipients})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(raw[:at]); err != nil {
				t.Fatal(err)
			}
			w.Abort(errBoom)
			w.Abort(nil)
			if _, err := w.Write(raw); !errors.Is(err, errBoom) {
				t.Errorf("Write after Abort: %v", err)
			}
			if _, err := w.Close(); !errors.Is(err, errBoom) {
				t.Errorf("Close after Abort: %v", err)
			}
			if _, _, err := open(&dst, &archive.ReaderOptions{Identities: []age.Identity{id}}); err == nil {
				t.Errorf("aborted after %d bytes: what was left is a good archive", at)
			}
		}
	}
	settle(t, before)
}

func TestAbortWhileTheDestinationHangs(t *testing.T) {
	before := runtime.NumGoroutine()
	pr, pw := io.Pipe()
	w, err := archive.NewWriter(pw, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() {
		_, err := w.Write(random(64 << 20))
		written <- err
	}()
	time.Sleep(10 * time.Millisecond)
	w.Abort(errBoom)
	if err := <-written; !errors.Is(err, errBoom) {
		t.Errorf("Write: %v", err)
	}
	pr.Close()
	if _, err := w.Close(); !errors.Is(err, errBoom) {
		t.Errorf("Close: %v", err)
	}
	settle(t, before)
}

func TestAbortAfterClose(t *testing.T) {
	t.Parallel()
	var dst bytes.Buffer
	w, err := archive.NewWriter(&dst, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	w.Abort(errBoom)
	if got, err := w.Close(); err != nil || got != want {
		t.Errorf("second Close: %v, %v, wanted %v", got, err, want)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Close succeeded")
	}
}

func TestReadFrom(t *testing.T) {
	before := runtime.NumGoroutine()
	raw := text(3<<20 + 5)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"plain": func(r io.Reader) io.Reader { return r },
		"half":  iotest.HalfReader, "data and error": iotest.DataErrReader,
	} {
		var dst bytes.Buffer
		w, err := archive.NewWriter(&dst, header(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.ReadFrom(wrap(bytes.NewReader(raw))); n != int64(len(raw)) || err != nil {
			t.Errorf("%s: ReadFrom: %d, %v", name, n, err)
		}
		if _, err := w.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		if raw, sealed := w.Progress(); raw != 3<<20+5 || sealed != int64(dst.Len()) {
			t.Errorf("%s: Progress: %d, %d", name, raw, sealed)
		}
		if got, _, err := open(wrap(&dst), nil); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: read back: %v", name, err)
		}
	}
	var dst bytes.Buffer
	w, err := archive.NewWriter(&dst, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadFrom(io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(errBoom))); !errors.Is(err, errBoom) {
		t.Errorf("ReadFrom a failing reader: %v", err)
	}
	if _, err := w.Close(); !errors.Is(err, errBoom) {
		t.Errorf("Close after ReadFrom failed: %v", err)
	}
	settle(t, before)
}

func TestSourceFails(t *testing.T) {
	before := runtime.NumGoroutine()
	for kind, s := range specimens(t, slices.Concat(text(1<<20), random(1<<20)), archive.Fastest) {
		for at := 0; at <= len(s.blob); at += 1 + len(s.blob)/17 {
			src := io.MultiReader(bytes.NewReader(s.blob[:at]), iotest.ErrReader(errBoom))
			raw, _, err := open(src, s.opts)
			if !errors.Is(err, errBoom) || shield.CodeOf(err) == shield.Corrupt {
				t.Errorf("%s, source fails at %d: %v", kind, at, err)
			}
			if !bytes.HasPrefix(s.raw, raw) {
				t.Errorf("%s, source fails at %d: wrong data", kind, at)
			}
		}
	}
	settle(t, before)
}

func TestSourceFailsWithWrappedEOF(t *testing.T) {
	t.Parallel()
	for kind, s := range specimens(t, text(1000), archive.Fastest) {
		for _, at := range []int{0, 10, 300, len(s.blob)} {
			failure := fmt.Errorf("connection lost: %w", io.EOF)
			_, _, err := open(io.MultiReader(bytes.NewReader(s.blob[:at]), iotest.ErrReader(failure)), s.opts)
			if err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%s, source fails at %d: %v", kind, at, err)
			}
		}
	}
}

func TestReaderClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for kind, s := range specimens(t, random(8<<20), archive.Fastest) {
		r, err := archive.NewReader(bytes.NewReader(s.blob), s.opts)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, 1<<20+1); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Summary(); err == nil {
			t.Errorf("%s: Summary before the end", kind)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("%s: Close: %v", kind, err)
			}
		}
		if _, err := io.Copy(io.Discard, r); err == nil {
			t.Errorf("%s: Read to the end after Close", kind)
		}
	}
	settle(t, before)
}

func TestWriteToFails(t *testing.T) {
	t.Parallel()
	s := specimens(t, random(3<<20), archive.Fastest)["sealed"]
	for _, short := range []bool{false, true} {
		r, err := archive.NewReader(bytes.NewReader(s.blob), s.opts)
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.WriteTo(&limited{writes: 1, short: short})
		if err == nil || n < 1<<20 {
			t.Errorf("WriteTo: %d, %v", n, err)
		}
		r.Close()
	}
}

// slow is a destination that takes little at a time.
type slow struct{ bytes.Buffer }

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(2 * time.Millisecond)
	return s.Buffer.Write(p)
}

func TestSlowDestination(t *testing.T) {
	t.Parallel()
	var dst slow
	w, err := archive.NewWriter(&dst, header(), nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := random(8 << 20)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _, err := open(&dst.Buffer, nil); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("read back: %v", err)
	}
}

// endless gives zeros and pseudo-random megabytes in turn.
type endless struct{ at int }

var noise = random(1 << 20)

func (e *endless) Read(p []byte) (int, error) {
	mib, off := e.at>>20, e.at&(1<<20-1)
	n := min(len(p), 1<<20-off)
	if mib%2 == 0 {
		clear(p[:n])
	} else {
		copy(p[:n], noise[off:])
	}
	e.at += n
	return n, nil
}

func TestMemoryIsBounded(t *testing.T) {
	size := int64(2 << 30)
	if testing.Short() {
		size = 256 << 20
	}
	id := identity(t)
	pr, pw := io.Pipe()
	w, err := archive.NewWriter(pw, header(), &archive.WriterOptions{Recipients: []age.Recipient{id.Recipient()}, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		w.ReadFrom(io.LimitReader(&endless{}, size))
		_, err := w.Close()
		pw.CloseWithError(err)
	}()
	r, err := archive.NewReader(pr, &archive.ReaderOptions{Identities: []age.Identity{id}, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	runtime.GC()
	var peak uint64
	for done := int64(0); ; {
		n, err := io.CopyN(io.Discard, r, 64<<20)
		done += n
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
		if err == io.EOF {
			if done != size {
				t.Errorf("%d bytes came out, %d went in", done, size)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("peak heap of a writer and a reader: %d MiB", peak>>20)
	if peak > 80<<20 {
		t.Errorf("heap in use reached %d MiB", peak>>20)
	}
}
