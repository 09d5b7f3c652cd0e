//go:build !wasip1

package pdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
)

// Dial connects to an address.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// DialTLS connects and runs TLS. c may be nil.
func DialTLS(ctx context.Context, network, addr string, c *TLSConfig) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config, err := c.native(host)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{Config: config}
	return d.DialContext(ctx, network, addr)
}

// UpgradeTLS runs TLS over a connection, from which nothing that belongs to
// TLS was read yet. Use only the new connection from then on.
func UpgradeTLS(ctx context.Context, conn net.Conn, c *TLSConfig) (net.Conn, error) {
	config, err := c.native("")
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, config)
	return t, t.HandshakeContext(ctx)
}

func (c *TLSConfig) native(host string) (*tls.Config, error) {
	if c == nil {
		c = &TLSConfig{}
	}
	out := &tls.Config{ServerName: c.Name, InsecureSkipVerify: c.Insecure, NextProtos: c.ALPN, MinVersion: tls.VersionTLS12}
	if out.ServerName == "" {
		out.ServerName = host
	}
	if c.CA != "" {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, errors.New("the CA has no certificate in PEM form")
		}
	}
	if c.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key))
		if err != nil {
			return nil, err
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}
