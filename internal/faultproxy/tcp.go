package faultproxy

import (
	"net"
	"sync"
	"testing"
	"time"
)

// TCP is a proxy for a server of any protocol. Its rules count connections;
// Match is not asked. Of the faults, those about bodies mean the bytes that
// the client sends (Request) or gets (Response) on a connection.
type TCP struct {
	*front
	rules
	upstream string

	gate   sync.Mutex
	frozen chan struct{} // closed by Thaw; nil: bytes pass
	idle   time.Duration
}

// Freeze lets no byte pass any more, in silence: connections stay, and new ones
// are taken. It is what a link looks like that was cut somewhere far away.
func (p *TCP) Freeze() {
	p.gate.Lock()
	defer p.gate.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// Thaw lets bytes pass again, those included that have waited.
func (p *TCP) Thaw() {
	p.gate.Lock()
	defer p.gate.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// CloseIdle closes connections from now on that move no byte for so long.
func (p *TCP) CloseIdle(after time.Duration) {
	p.gate.Lock()
	defer p.gate.Unlock()
	p.idle = after
}

// pass waits while the proxy is frozen. It reports false at the end of the
// test.
func (p *TCP) pass() bool {
	p.gate.Lock()
	frozen := p.frozen
	p.gate.Unlock()
	if frozen == nil {
		return true
	}
	select {
	case <-frozen:
		return true
	case <-p.closed:
		return false
	}
}

// watch returns what is to be called when bytes move on a pair of connections,
// and when they have ended.
func (p *TCP) watch(a, b net.Conn) (moved, ended func()) {
	p.gate.Lock()
	after := p.idle
	p.gate.Unlock()
	if after == 0 {
		return func() {}, func() {}
	}
	t := time.AfterFunc(after, func() { _, _ = a.Close(), b.Close() })
	return func() { t.Reset(after) }, func() { t.Stop() }
}

// StartTCP starts a proxy for the server at an address, which ends with the
// test.
func StartTCP(t testing.TB, upstream string) *TCP {
	t.Helper()
	p := &TCP{front: newFront(t), upstream: upstream}
	p.serve = p.accept
	p.Up()
	t.Cleanup(p.close)
	return p
}

func (p *TCP) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // by Down
		}
		p.running.Add(1)
		go func() {
			defer p.running.Done()
			p.relay(c)
		}()
	}
}

func (p *TCP) relay(client net.Conn) {
	defer client.Close()
	fault := p.pick(nil)
	if fault == nil {
		fault = &Fault{}
	}
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		reset(client)
		return
	}
	p.keep(server) // so that Down ends it, too
	defer p.forget(server)
	moved, ended := p.watch(client, server)
	defer ended()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		p.pump(server, client, fault.request, client, moved)
	}()
	p.pump(client, server, fault.response, client, moved)
	_, _ = server.Close(), client.Close()
	<-sent
}

// pump passes bytes on until the end or the fault.
func (p *TCP) pump(dst, src net.Conn, f flow, client net.Conn, moved func()) {
	defer func() {
		if c, ok := dst.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}()
	buf := make([]byte, 32<<10)
	var done int64
	for {
		b := buf
		left := f.at - done
		switch f.do {
		case doReset, doClose, doStall, doShorten:
			if left <= 0 {
				p.strike(f.do, client)
				return
			}
			b = b[:min(int64(len(b)), left)]
		}
		if f.rate > 0 {
			b = b[:min(int64(len(b)), max(1, f.rate/20))]
			select {
			case <-time.After(time.Duration(len(b)) * time.Second / time.Duration(f.rate)):
			case <-p.closed:
				return
			}
		}
		n, err := src.Read(b)
		if f.do == doFlip && left >= 0 && left < int64(n) {
			b[left] ^= 0x20
		}
		done += int64(n)
		if !p.pass() {
			return
		}
		moved()
		if _, werr := dst.Write(b[:n]); werr != nil || err != nil {
			return
		}
	}
}

// strike does what happens at the place of a fault.
func (p *TCP) strike(do doing, client net.Conn) {
	switch do {
	case doReset:
		reset(client)
	case doStall:
		<-p.closed
	default:
		_ = client.Close()
	}
}
