package wasmhost

import (
	"io"
	"time"
)

const (
	paceAfter = 256 << 10 // bytes of a stream: what is short is not held up
	paceBelow = 32 << 10  // of a pipe of the usual size
	pace      = time.Millisecond
	paceMost  = 8 * time.Millisecond  // for what a program reads
	paceLong  = 16 * time.Millisecond // for what it writes
)

// A paced reader lets what comes gather. Many programs write no more than
// 4 KiB at once; to take each of these through the host by itself costs more
// in switches between threads than all that is done with the bytes. The slower
// they write, the longer they are left alone.
type paced struct {
	r     io.Reader
	below int // bytes, far less than the pipe has room for: fewer are too few
	total int64
	pause time.Duration
	wait  bool
	asked func() uint64 // bytes that the guest has written; nil if it need not ask
	seen  uint64        // of them
}

// paceIn returns r, paced.
func paceIn(r io.Reader) io.Reader {
	in := &paced{r: r, below: paceBelow}
	if p := pipeOf(r); p != nil {
		in.below = max(in.below, p.size()/8)
	}
	return in
}

// paceAnswers returns r, paced where it gives much without being asked for
// more: who asks is not to wait for the answer.
func paceAnswers(r io.Reader, out *ring) io.Reader {
	return &paced{r: r, below: streamRing / 4, asked: func() uint64 {
		_, w, _ := out.counts()
		return w
	}}
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if p.asked != nil {
		if n := p.asked(); n != p.seen {
			p.seen, p.total, p.pause, p.wait = n, 0, 0, false
		}
	}
	if p.wait {
		time.Sleep(p.pause)
	}
	n, err := p.r.Read(b)
	p.total += int64(n)
	p.wait = p.total >= paceAfter && n < p.below && n < len(b)
	switch {
	case p.wait:
		p.pause = min(max(2*p.pause, pace), paceLong)
	case n >= p.below:
		p.pause /= 2
	}
	return n, err
}

// A pacedWriter lets room gather in the pipe to a program that reads slower
// than it is written to: the kernel wakes a writer that waits for room whenever
// there is some for 4 KiB.
type pacedWriter struct {
	pipe
	pause time.Duration
}

// A pipe to a program.
type pipe interface {
	// put writes as much of b as there is room for, without waiting.
	put(b []byte) (int, error)
	size() int // bytes that it has room for
}

// paceOut returns w, paced if it is a pipe that is large enough for that.
func paceOut(w io.Writer) io.Writer {
	if p := pipeOf(w); p != nil && p.size() >= paceAfter {
		return &pacedWriter{pipe: p}
	}
	return w
}

// Write implements io.Writer.
func (w *pacedWriter) Write(b []byte) (int, error) {
	total := 0
	for total < len(b) {
		n, err := w.put(b[total:])
		total += n
		if err != nil {
			return total, err
		}
		if total == len(b) {
			break
		}
		// A program that took little meanwhile will be given longer.
		switch {
		case n < w.size()/8:
			w.pause = min(max(2*w.pause, pace), paceMost)
		case n > w.size()/2:
			w.pause /= 2
		}
		time.Sleep(max(w.pause, pace))
	}
	return total, nil
}
