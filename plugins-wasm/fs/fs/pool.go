package fs

import (
	"runtime"
	"sync"
)

// A pool makes small files, so that the stream is read on while the system
// makes them. They are handed over in batches: waking somebody for each would
// cost as much as making it. Where there is one processor, they are made at
// once.
type pool struct {
	shared  *shared
	filling *batch
	full    chan *batch // nil: one processor
	free    chan *batch
	pending sync.WaitGroup
}

// A batch is some small files, with their content in one buffer.
type batch struct {
	jobs []job
	buf  []byte
}

// A job is a small file to make. It holds its folder.
type job struct {
	d    *dir
	name string
	h    *header
	data []byte
}

const (
	batchBytes = 512 << 10
	batchFiles = 128
)

func newPool(s *shared) *pool {
	p := &pool{shared: s, filling: newBatch()}
	workers := min(runtime.GOMAXPROCS(0), 4)
	if workers == 1 {
		return p
	}
	p.full, p.free = make(chan *batch, workers), make(chan *batch, workers+1)
	for range workers {
		p.free <- newBatch()
		go p.work()
	}
	return p
}

func newBatch() *batch { return &batch{buf: make([]byte, 0, batchBytes)} }

func (p *pool) work() {
	for b := range p.full {
		p.do(b)
		p.free <- b
		p.pending.Done()
	}
}

func (p *pool) do(b *batch) {
	for _, j := range b.jobs {
		p.shared.makeSmall(j.d, j.name, j.h, j.data)
		j.d.release()
	}
	clear(b.jobs)
	b.jobs, b.buf = b.jobs[:0], b.buf[:0]
}

// buffer returns a buffer for a small file, for send.
func (p *pool) buffer(size int64) []byte {
	if b := p.filling; int64(cap(b.buf)-len(b.buf)) < size || len(b.jobs) == batchFiles {
		p.flush()
	}
	b := p.filling
	at := len(b.buf)
	b.buf = b.buf[:at+int(size)]
	return b.buf[at:]
}

func (p *pool) send(j job) { p.filling.jobs = append(p.filling.jobs, j) }

// flush hands over the batch.
func (p *pool) flush() {
	if p.full == nil {
		p.do(p.filling)
		return
	}
	p.pending.Add(1)
	p.full <- p.filling
	p.filling = <-p.free
}

// wait returns when all files are made.
func (p *pool) wait() {
	p.flush()
	p.pending.Wait()
}

func (p *pool) close() {
	p.wait()
	if p.full != nil {
		close(p.full)
	}
}
