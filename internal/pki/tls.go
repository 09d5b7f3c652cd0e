package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// DaemonServer is the TLS configuration of the daemon's listener for agents.
// It takes connections without a certificate, too: those that join have none.
func (a *Authority) DaemonServer() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.Daemon() },
		ClientAuth:     tls.VerifyClientCertIfGiven, ClientCAs: a.Pool(),
		NextProtos: []string{"http/1.1"},
	}
}

// DaemonClient is the TLS configuration by which the daemon dials an agent.
// verify is given the agent's certificate, which the authority has issued, or
// else nil.
func (a *Authority) DaemonClient(verify func(*x509.Certificate) error) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return a.Daemon() },
		InsecureSkipVerify:   true, // VerifyConnection does, by what agents' certificates have
		VerifyConnection: func(s tls.ConnectionState) error {
			leaf := s.PeerCertificates[0]
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
				var unknown x509.UnknownAuthorityError
				if errors.As(err, &unknown) {
					return verify(nil)
				}
				return err
			}
			return verify(leaf)
		},
	}
}

// ErrNotPinned is returned in a handshake with a daemon whose certificate is
// not of the authority that was expected.
var ErrNotPinned = errors.New("this is not the daemon that the token is from, or somebody is in between: its certificate is of another authority")

// Pinned is the check of a connection to a daemon of which only the pin of its
// authority is known. found, if not nil, gets the authority's certificate.
func Pinned(pin string, server bool, found func(authority []byte)) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		for _, c := range s.PeerCertificates[min(1, len(s.PeerCertificates)):] {
			if PinOf(c.Raw) != pin {
				continue
			}
			pool := x509.NewCertPool()
			pool.AddCert(c)
			if err := VerifyDaemon(s.PeerCertificates[0], pool, server); err != nil {
				return err
			}
			if found != nil {
				found(c.Raw)
			}
			return nil
		}
		return ErrNotPinned
	}
}

// VerifyDaemon checks the daemon's certificate, presented as a server or as a
// client.
func VerifyDaemon(leaf *x509.Certificate, pool *x509.CertPool, server bool) error {
	usage := x509.ExtKeyUsageClientAuth
	if server {
		usage = x509.ExtKeyUsageServerAuth
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: DaemonName, Roots: pool, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err != nil {
		return fmt.Errorf("the daemon's certificate: %w", err)
	}
	return nil
}
