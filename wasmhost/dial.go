package wasmhost

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/shieldhq/shield/plugin"
)

// dialTimeout is for descriptors that say nothing, and the most they can say.
const (
	dialTimeout    = 30 * time.Second
	dialTimeoutMax = 10 * time.Minute
)

type tcpDescriptor struct {
	Addr      string `json:"addr"`
	TimeoutMS int64  `json:"timeout_ms"`
	// Async returns the handle at once; stat waits for the connection.
	Async bool `json:"async"`
}

func (d *tcpDescriptor) timeout() time.Duration {
	if d.TimeoutMS <= 0 {
		return dialTimeout
	}
	return min(time.Duration(d.TimeoutMS)*time.Millisecond, dialTimeoutMax)
}

// openTCP connects to an address that both sides allow.
func (i *instance) openTCP(d *tcpDescriptor) (handle, error) {
	if err := i.mayDial(d.Addr); err != nil {
		return nil, err
	}
	return i.connect(d.Async, func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, d.timeout())
		defer cancel()
		return i.dial(ctx, d.Addr)
	})
}

func (i *instance) mayDial(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return i.errorf(errInvalid, `addr is %.100q: "host:port" is wanted`, addr)
	}
	if i.rights.needs.MayDial(addr) && i.rights.bound.MayDial(addr) {
		return nil
	}
	return i.deny("tcp", "connect to %s", addr)
}

// dial connects to an address that was allowed by name. What the name stands
// for is looked at once it is known: a name must not lead to this host or to
// the network's own services, which only their addresses do.
func (i *instance) dial(ctx context.Context, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	d := *i.dialer
	d.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return i.mayReach(host, address)
	}
	return d.DialContext(ctx, "tcp", addr)
}

func (i *instance) mayReach(host, address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return i.errorf(errInvalid, "%s is no address", address)
	}
	a := ap.Addr().Unmap()
	if _, err := netip.ParseAddr(host); err == nil || !internal(a) {
		return nil
	}
	if plugin.CanonicalHost(host) == "localhost" && a.IsLoopback() {
		return nil
	}
	return i.deny("tcp", "connect to %s, since that name stands for %s, which is internal: an address like that has to be granted itself", host, a)
}

// internal reports whether an address is this host's own, or one of the link,
// where clouds have the service that gives out credentials.
func internal(a netip.Addr) bool {
	return a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast() || a == netip.MustParseAddr("fd00:ec2::254")
}

// A link is a connection that is being made, or was.
type link struct {
	*stream
	ctx    context.Context
	cancel context.CancelFunc
	closed chan struct{}

	mu   sync.Mutex
	conn net.Conn
	err  error
	info map[string]any
	done bool // conn or err is set
}

// connect returns a handle on the connection that dial makes. The handle
// exists before the connection, so that a guest can do other things.
func (i *instance) connect(async bool, dial func(context.Context) (net.Conn, error)) (handle, error) {
	ctx, cancel := context.WithCancel(i.ctx)
	l := &link{ctx: ctx, cancel: cancel, closed: make(chan struct{})}
	l.stream = &stream{in: newRing(streamRing, i.wake, newSignal()), out: newRing(streamRing, newSignal(), i.wake), status: l.status}
	i.pump(func() { l.run(i, dial) })
	if async {
		return l, nil
	}
	if _, err := wait(i, l.status); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *link) status() (map[string]any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done {
		return nil, errAgain
	}
	return l.info, l.err
}

// linger is how long what was written before close may take to go out.
const linger = 2 * time.Second

// close lets what was written go out, as the system does for its sockets.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done || l.err != nil {
		l.cancel()
	}
	if !isClosed(l.closed) {
		close(l.closed)
	}
	l.in.abandon(errPipe)
	l.out.finish(io.EOF)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (l *link) settle(conn net.Conn, info map[string]any, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.info, l.err, l.done = conn, info, err, true
}

// run dials, and moves bytes both ways until both have ended.
func (l *link) run(i *instance, dial func(context.Context) (net.Conn, error)) {
	defer l.cancel()
	conn, err := dial(l.ctx)
	if err != nil {
		l.settle(nil, nil, err)
		l.in.finish(err)
		l.out.abandon(err)
		nudge(i.wake)
		return
	}
	l.settle(conn, peerOf(conn), nil)
	nudge(i.wake)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		l.send(conn)
	}()
	go l.closeConn(conn, sent)
	l.receive(conn)
	<-sent
}

// closeConn closes the connection once it is not used any more.
func (l *link) closeConn(conn net.Conn, sent <-chan struct{}) {
	defer func() { _ = conn.Close() }() // once more does no harm
	select {
	case <-l.closed:
	case <-l.ctx.Done():
		reset(conn)
		return
	}
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-sent:
	case <-l.ctx.Done():
	case <-t.C:
	}
}

// reset makes the connection end in an error for the other side: it must not
// take what it got from a guest that was stopped for the whole.
func reset(conn net.Conn) {
	if s, ok := conn.(secured); ok {
		conn = s.NetConn()
	}
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // closing tells the rest
		_ = c.Close()
	}
}

func (l *link) receive(conn net.Conn) {
	if err := l.in.fill(l.ctx, paceAnswers(conn, l.out)); err != nil {
		l.in.finish(fmt.Errorf("reading: %w", err))
		return
	}
	l.in.finish(io.EOF)
}

func (l *link) send(conn net.Conn) {
	if err := l.out.drain(l.ctx, conn); err != nil {
		l.out.abandon(fmt.Errorf("writing: %w", err))
		return
	}
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // the other side may have gone already
	}
}

func peerOf(conn net.Conn) map[string]any {
	info := map[string]any{"remote": conn.RemoteAddr().String()}
	if c, ok := conn.(interface{ describe(map[string]any) }); ok {
		c.describe(info)
	}
	return info
}
