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
	config, err := c.Native()
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	d := tls.Dialer{Config: config}
	return d.DialContext(ctx, network, addr)
}

// UpgradeTLS runs TLS over a connection, from which nothing that belongs to
// TLS was read yet. Use only the new connection from then on.
func UpgradeTLS(ctx context.Context, conn net.Conn, c *TLSConfig) (net.Conn, error) {
	config, err := c.Native()
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, config)
	return t, t.HandshakeContext(ctx)
}

// Native returns the configuration for package crypto/tls; that of nil is
// that of the zero value. It does not exist in the sandbox, where the host
// runs TLS.
func (c *TLSConfig) Native() (*tls.Config, error) {
	if c == nil {
		c = &TLSConfig{}
	}
	out := &tls.Config{ServerName: c.Name, InsecureSkipVerify: c.Insecure, NextProtos: c.ALPN, MinVersion: tls.VersionTLS12}
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
