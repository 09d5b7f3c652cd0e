// Package faultproxy stands between a plugin and a real server in tests and
// does what networks and servers do on bad days: HTTP for servers that speak
// HTTP, with or without TLS, TCP for all others. What it does is scripted by
// rules; without any it passes everything on unchanged, the Host header
// included, so that signed requests stay valid.
package faultproxy

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
)

// A front is the listening side: an address on loopback that can go away and
// come back.
type front struct {
	t     testing.TB
	addr  string
	tls   *tls.Config
	serve func(net.Listener)

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
	closed   chan struct{} // by the end of the test: stalled exchanges end
	running  sync.WaitGroup
}

func newFront(t testing.TB) *front {
	return &front{t: t, addr: "127.0.0.1:0", conns: map[net.Conn]struct{}{}, closed: make(chan struct{})}
}

// Addr is the proxy's address, host:port.
func (f *front) Addr() string { return f.addr }

// Up listens, again after Down. A proxy is up from its start.
func (f *front) Up() {
	f.t.Helper()
	l, err := net.Listen("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.addr = l.Addr().String()
	f.mu.Lock()
	f.listener = l
	f.mu.Unlock()
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		f.serve(tracked{l, f})
	}()
}

// Down refuses connections from now on and resets those that there are.
func (f *front) Down() {
	f.mu.Lock()
	if f.listener != nil {
		_ = f.listener.Close()
		f.listener = nil
	}
	open := f.conns
	f.conns = map[net.Conn]struct{}{}
	f.mu.Unlock()
	for c := range open {
		reset(c)
	}
}

func (f *front) close() {
	close(f.closed)
	f.Down()
	f.running.Wait()
}

// tracked is a listener that remembers its connections.
type tracked struct {
	net.Listener
	f *front
}

func (l tracked) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	if l.f.listener == nil {
		reset(c)
		return nil, net.ErrClosed
	}
	l.f.conns[c] = struct{}{}
	return &trackedConn{TCPConn: c.(*net.TCPConn), f: l.f}, nil
}

type trackedConn struct {
	*net.TCPConn
	f *front
}

func (c *trackedConn) Close() error {
	c.f.forget(c.TCPConn)
	return c.TCPConn.Close()
}

// keep has a connection ended by Down.
func (f *front) keep(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = struct{}{}
}

func (f *front) forget(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// reset closes a connection so that the other side sees it as reset, not as
// ended.
func reset(c net.Conn) {
	for {
		switch under := c.(type) {
		case *tls.Conn:
			c = under.NetConn()
			continue
		case interface{ SetLinger(int) error }:
			_ = under.SetLinger(0) // closed already, perhaps
		}
		_ = c.Close()
		return
	}
}

// errFault ends an exchange that a fault has broken off.
var errFault = errors.New("broken off by faultproxy")
