package faultproxy

import (
	"net"
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
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		p.pump(server, client, fault.request, client)
	}()
	p.pump(client, server, fault.response, client)
	_, _ = server.Close(), client.Close()
	<-sent
}

// pump passes bytes on until the end or the fault.
func (p *TCP) pump(dst, src net.Conn, f flow, client net.Conn) {
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
