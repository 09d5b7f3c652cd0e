package wasmhost

import (
	"io"
	"time"
)

const (
	paceAfter = 256 << 10 // bytes of a stream: what is short is not held up
	paceBelow = 32 << 10
	pace      = time.Millisecond
)

// A paced reader lets the output of a program gather. Many write no more than
// 4 KiB at once; to take each of these through the host by itself costs more
// in switches between threads than all that is done with the bytes.
type paced struct {
	r     io.Reader
	total int64
	wait  bool
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if p.wait {
		time.Sleep(pace)
	}
	n, err := p.r.Read(b)
	p.total += int64(n)
	p.wait = p.total >= paceAfter && n < paceBelow && n < len(b)
	return n, err
}
