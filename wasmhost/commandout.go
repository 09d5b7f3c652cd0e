package wasmhost

import (
	"errors"
	"io"
	"sync"
)

// tailLimit bounds how much of the end of a program's output is kept.
const tailLimit = 64 << 10

// A tail keeps the end of what a reader gives.
type tail struct {
	limit int
	r     io.Reader
	b     []byte
}

func (t *tail) of(r io.Reader) io.Reader {
	if t.limit == 0 {
		return r
	}
	t.r = r
	return t
}

// Read implements io.Reader.
func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	last := p[max(0, n-t.limit):n]
	if len(t.b)+len(last) > 2*t.limit { // seldom: programs write little at once
		t.b = t.b[:copy(t.b, t.end())]
	}
	t.b = append(t.b, last...)
	return n, err
}

// end returns the end of what was read so far.
func (t *tail) end() []byte { return t.b[max(0, len(t.b)-t.limit):] }

type stderrDescriptor struct {
	Of int32 `json:"of"`
}

// openStderr opens the standard error of a program that was run with it.
func (i *instance) openStderr(d *stderrDescriptor) (handle, error) {
	c, ok := i.handles[d.Of].(*child)
	if !ok || c.complaints == nil {
		return nil, i.errorf(errInvalid, "handle %d is no command that was run with its stderr", d.Of)
	}
	return &stream{in: c.complaints.ring}, nil
}

// complaints are what a program writes to its standard error. A guest that
// does not read them does not hold the program up: it reads an error in the
// end.
type complaints struct {
	ring *ring

	mu   sync.Mutex
	lost bool
}

func newComplaints(wake chan struct{}) *complaints {
	return &complaints{ring: newRing(streamRing, wake, newSignal())}
}

// Write implements io.Writer. It never fails.
func (c *complaints) Write(p []byte) (int, error) {
	n, err := c.ring.write(p)
	if n < len(p) && !errors.Is(err, errPipe) {
		c.mu.Lock()
		c.lost = true
		c.mu.Unlock()
	}
	return len(p), nil
}

func (c *complaints) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		c.ring.finish(errors.New("the program wrote more to its standard error than was read"))
		return
	}
	c.ring.finish(io.EOF)
}
