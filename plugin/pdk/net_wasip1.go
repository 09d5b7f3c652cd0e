package pdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// Dial connects to an address, which the grant has to hold. The network is
// "tcp"; the host looks names up.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return dial(ctx, network, addr, map[string]any{"tcp": dialRequest(ctx, addr)})
}

// DialTLS connects and runs TLS, which the host does. c may be nil.
func DialTLS(ctx context.Context, network, addr string, c *TLSConfig) (net.Conn, error) {
	r, err := withTLS(dialRequest(ctx, addr), c)
	if err != nil {
		return nil, err
	}
	return dial(ctx, network, addr, map[string]any{"tls": r})
}

// UpgradeTLS runs TLS over a connection that Dial made, from which nothing
// that belongs to TLS was read yet. Use only the new connection from then on.
func UpgradeTLS(ctx context.Context, conn net.Conn, c *TLSConfig) (net.Conn, error) {
	under, ok := conn.(*hostConn)
	if !ok {
		return nil, errors.New("not a connection that pdk.Dial has made")
	}
	r, err := withTLS(dialRequest(ctx, ""), c)
	if err != nil {
		return nil, err
	}
	r["over"] = under.h
	return dial(ctx, "tcp", under.remote.String(), map[string]any{"tls": r})
}

func dialRequest(ctx context.Context, addr string) map[string]any {
	r := map[string]any{"addr": addr, "async": true}
	if t, ok := ctx.Deadline(); ok {
		r["timeout_ms"] = max(1, time.Until(t).Milliseconds())
	}
	return r
}

func withTLS(r map[string]any, c *TLSConfig) (map[string]any, error) {
	if c == nil {
		return r, nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(b, &r)
}

func dial(ctx context.Context, network, addr string, descriptor any) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, fmt.Errorf(`network is %q: "tcp" is wanted`, network)
	}
	h, err := openHandle(descriptor)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	await(h, pollStat, ctx.Done())
	if ctx.Err() != nil {
		hostClose(h)
		return nil, &net.OpError{Op: "dial", Net: network, Err: context.Cause(ctx)}
	}
	text, err := statText(h)
	if err != nil {
		hostClose(h)
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var info struct {
		Remote string `json:"remote"`
	}
	if json.Unmarshal([]byte(text), &info) != nil || info.Remote == "" {
		info.Remote = addr
	}
	return &hostConn{newStream(h), address(info.Remote)}, nil
}

// A hostConn is a connection that the host has made.
type hostConn struct {
	*hostStream
	remote address
}

var _ net.Conn = (*hostConn)(nil)

func (c *hostConn) Read(p []byte) (int, error) {
	n, err := c.hostStream.Read(p)
	return n, closedError(err)
}

func (c *hostConn) Write(p []byte) (int, error) {
	n, err := c.hostStream.Write(p)
	return n, closedError(err)
}

// closedError returns what client libraries expect of a closed connection.
func closedError(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

func (c *hostConn) LocalAddr() net.Addr  { return address("sandbox") }
func (c *hostConn) RemoteAddr() net.Addr { return c.remote }

// An address is one that the host has told.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }
