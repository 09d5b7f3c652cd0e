package wasmhost

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"time"
)

type tlsDescriptor struct {
	tcpDescriptor
	Over *int32 `json:"over"`
	tlsSettings
}

// tlsSettings say how to be sure of the other side.
type tlsSettings struct {
	Name     string   `json:"name"`
	CA       string   `json:"ca"`
	Cert     string   `json:"cert"`
	Key      string   `json:"key"`
	Insecure bool     `json:"insecure"`
	ALPN     []string `json:"alpn"`
}

func (s *tlsSettings) config(i *instance, host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: s.Name, InsecureSkipVerify: s.Insecure, NextProtos: s.ALPN, MinVersion: tls.VersionTLS12}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if s.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(s.CA)) {
			return nil, i.errorf(errInvalid, "ca has no certificate in PEM form")
		}
	}
	if s.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(s.Cert), []byte(s.Key))
		if err != nil {
			return nil, i.errorf(errInvalid, "cert and key do not fit: %v", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// openTLS makes a new connection, or turns an open handle into one.
func (i *instance) openTLS(d *tlsDescriptor) (handle, error) {
	if d.Over != nil {
		return i.upgrade(d)
	}
	if err := i.mayDial(d.Addr); err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(d.Addr)
	config, err := d.config(i, host)
	if err != nil {
		return nil, err
	}
	return i.connect(d.Async, func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, d.timeout())
		defer cancel()
		conn, err := i.dial(ctx, d.Addr)
		if err != nil {
			return nil, err
		}
		return handshake(ctx, conn, config)
	})
}

func handshake(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	c := tls.Client(conn, config)
	if err := c.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured{c}, nil
}

// secured is a TLS connection that tells what was agreed on.
type secured struct{ *tls.Conn }

func (s secured) describe(info map[string]any) {
	state := s.ConnectionState()
	info["tls"] = map[string]any{
		"version": tls.VersionName(state.Version), "cipher": tls.CipherSuiteName(state.CipherSuite), "alpn": state.NegotiatedProtocol,
	}
}

// upgrade runs TLS over an open handle, which from then on is the new one's.
// The number of the old one stays taken and answers "in use".
func (i *instance) upgrade(d *tlsDescriptor) (handle, error) {
	h, err := i.handle(*d.Over)
	if err != nil {
		return nil, err
	}
	under, ok := h.(*link)
	if !ok || under.lent || under.shutting {
		return nil, i.errorf(errInvalid, "handle %d is no open connection", *d.Over)
	}
	if d.Name == "" && !d.Insecure {
		return nil, i.errorf(errInvalid, "name is missing: the certificate is compared with it")
	}
	config, err := d.config(i, "")
	if err != nil {
		return nil, err
	}
	under.lent = true
	readable, writable := newSignal(), newSignal()
	under.in.rewire(readable, nil)
	under.out.rewire(nil, writable)
	return i.connect(d.Async, func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, d.timeout())
		defer cancel()
		return handshake(ctx, &ringConn{link: under, readable: readable, writable: writable}, config)
	})
}

// A ringConn is the near side of a handle as a net.Conn.
type ringConn struct {
	*link
	readable, writable chan struct{}
}

var _ net.Conn = (*ringConn)(nil)

func (c *ringConn) Read(p []byte) (int, error) {
	return until(c.ctx, c.readable, func() (int, error) { return c.in.read(p) })
}

func (c *ringConn) Write(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		n, err := until(c.ctx, c.writable, func() (int, error) { return c.out.write(p[total:]) })
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *ringConn) Close() error {
	c.link.close()
	return nil
}

// CloseWrite lets what was written still go out.
func (c *ringConn) CloseWrite() error {
	c.out.finish(io.EOF)
	return nil
}

func (c *ringConn) LocalAddr() net.Addr  { return c.addr(net.Conn.LocalAddr) }
func (c *ringConn) RemoteAddr() net.Addr { return c.addr(net.Conn.RemoteAddr) }

func (c *ringConn) addr(of func(net.Conn) net.Addr) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return &net.TCPAddr{}
	}
	return of(c.conn)
}

// SetDeadline does nothing: the context of the handshake is what ends it, and
// closing the handle what ends the rest.
func (c *ringConn) SetDeadline(time.Time) error      { return nil }
func (c *ringConn) SetReadDeadline(time.Time) error  { return nil }
func (c *ringConn) SetWriteDeadline(time.Time) error { return nil }
