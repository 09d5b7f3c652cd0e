package wasmhost

import "io"

// A lent part of a guest's memory is read by the host while the guest goes
// on. It is taken back when the handle is closed, and when the memory goes
// away: after that nobody reads it any more.
type lent struct {
	budget *budget
	p      []byte
	closed bool // guarded by budget.lending
}

// lend lends the host a part of the guest's memory, which does not move as
// long as it is not freed; a heapRoom that has grown stays as it was.
func (i *instance) lend(m memory, p uint32, n int64) (*lent, error) {
	if n <= 0 || n > maxTransfer {
		return nil, i.errorf(errInvalid, "length is %d, of a body in memory: 1 to %d are allowed", n, maxTransfer)
	}
	b, err := m.bytes(p, uint32(n))
	if err != nil {
		return nil, err
	}
	return &lent{budget: i.memory, p: b}, nil
}

// back takes the memory back. It waits for a Read under way.
func (l *lent) back() {
	l.budget.lending.Lock()
	l.closed = true
	l.budget.lending.Unlock()
}

// open returns a reader of all of it.
func (l *lent) open() io.ReadCloser { return &lentReader{lent: l} }

type lentReader struct {
	*lent
	at int
}

// Read implements io.Reader.
func (r *lentReader) Read(p []byte) (int, error) {
	r.budget.lending.RLock()
	defer r.budget.lending.RUnlock()
	if r.closed || r.budget.freed {
		return 0, errPipe
	}
	n := copy(p, r.p[r.at:])
	if r.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close implements io.Closer. The memory may be read again.
func (r *lentReader) Close() error { return nil }
