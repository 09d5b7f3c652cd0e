package fs

import (
	"runtime"
	"sync"
)

// A pool makes small files, so that the stream is read on while the system
// makes them. Where there is one processor, it makes them at once.
type pool struct {
	shared  *shared
	inline  bool
	jobs    chan job
	free    chan []byte
	pending sync.WaitGroup
}

// A job is a small file to make. It holds its folder.
type job struct {
	d    *dir
	name string
	h    *header
	data []byte
}

// poolBuffers bounds the memory of the pool: 8 MiB.
const poolBuffers = 32

func newPool(s *shared) *pool {
	p := &pool{shared: s, jobs: make(chan job, poolBuffers), free: make(chan []byte, poolBuffers)}
	workers := min(runtime.GOMAXPROCS(0), 4)
	if p.inline = workers == 1; p.inline {
		p.free <- nil
		return p
	}
	for range poolBuffers {
		p.free <- nil
	}
	for range workers {
		go p.work()
	}
	return p
}

func (p *pool) work() {
	for j := range p.jobs {
		p.do(j)
	}
}

func (p *pool) do(j job) {
	p.shared.makeSmall(j.d, j.name, j.h, j.data[:j.h.size])
	j.d.release()
	p.free <- j.data
	p.pending.Done()
}

// buffer returns a buffer for a small file, for send.
func (p *pool) buffer() []byte {
	buf := <-p.free
	if buf == nil {
		buf = make([]byte, smallSize)
	}
	return buf
}

func (p *pool) send(j job) {
	p.pending.Add(1)
	if p.inline {
		p.do(j)
		return
	}
	p.jobs <- j
}

func (p *pool) wait() { p.pending.Wait() }

func (p *pool) close() {
	p.pending.Wait()
	close(p.jobs)
}
