// Package pki is the small certificate authority by which a daemon and its
// agents know one another. It issues two kinds of certificates: the daemon's,
// for a DNS name that nothing else gets, and those of agents, which carry the
// agent's UUID.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"sync"
	"time"

	"github.com/shieldhq/shield"
)

// DaemonName is the name in the daemon's certificate, whatever the address is
// that it is reached by.
const DaemonName = "daemon.shield.invalid"

const (
	authorityLife = 20 * 365 * 24 * time.Hour
	daemonLife    = 90 * 24 * time.Hour
	// slack is how far the clocks of two machines may be apart.
	slack = 36 * time.Hour
)

// An Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	daemon *tls.Certificate // the current one of the daemon
}

// Generate makes an authority and returns it as PEM: its key, then its
// certificate.
func Generate() ([]byte, error) {
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "shield agents"},
		NotBefore:             now.Add(-slack),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	der, err := create(t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := EncodeKey(key)
	return append(private, EncodeCertificate(der)...), err
}

// NewKey makes a key for a certificate.
func NewKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// EncodeKey returns a key as PEM.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// EncodeCertificate returns a certificate as PEM.
func EncodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func create(t, parent *x509.Certificate, public any, key *ecdsa.PrivateKey) (der []byte, err error) {
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	return x509.CreateCertificate(rand.Reader, t, parent, public, key)
}

// Parse reads what Generate made.
func Parse(data []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("this is no key with its certificate: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("this is not the certificate of an authority with an ECDSA key")
	}
	return &Authority{cert: pair.Leaf, key: key}, nil
}

// Certificate returns the authority's own, in DER.
func (a *Authority) Certificate() []byte { return a.cert.Raw }

// Pin is what names the authority: the SHA-256 of its certificate.
func (a *Authority) Pin() string { return PinOf(a.cert.Raw) }

// PinOf returns the pin of a certificate in DER.
func PinOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Pool returns what verifies certificates that the authority issued.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Issue makes the certificate of an agent for the key of a request, of which
// nothing else counts.
func (a *Authority) Issue(request []byte, uuid string, life time.Duration) (der []byte, until time.Time, err error) {
	r, err := CheckRequest(request)
	if err != nil {
		return nil, time.Time{}, err
	}
	now := time.Now()
	until = now.Add(life).UTC().Truncate(time.Second)
	der, err = create(&x509.Certificate{
		Subject: pkix.Name{CommonName: uuid}, URIs: []*url.URL{agentURI(uuid)},
		NotBefore: now.Add(-slack), NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, r.PublicKey, a.key)
	return der, until, err
}

// CheckRequest reads a request for a certificate, which is signed by the key
// that it is for.
func CheckRequest(request []byte) (*x509.CertificateRequest, error) {
	r, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = r.CheckSignature()
	}
	if err != nil {
		return nil, shield.FieldErrorf("request", "is not a request for a certificate: %v", err)
	}
	if _, ok := r.PublicKey.(*ecdsa.PublicKey); !ok {
		return nil, shield.FieldErrorf("request", "has a key of type %T: an ECDSA key is wanted", r.PublicKey)
	}
	return r, nil
}

// KeyDigest returns the SHA-256 of the key of a request.
func KeyDigest(r *x509.CertificateRequest) string {
	sum := sha256.Sum256(r.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// RequestFor makes the request for a certificate of a private key.
func RequestFor(key any) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

const uriScheme, uriKind = "shield", "agent"

func agentURI(uuid string) *url.URL { return &url.URL{Scheme: uriScheme, Opaque: uriKind + ":" + uuid} }

// AgentOf returns the UUID in the certificate of an agent, "" for another one.
func AgentOf(c *x509.Certificate) string {
	for _, u := range c.URIs {
		if uuid := u.Opaque; u.Scheme == uriScheme && len(uuid) == len(uriKind)+37 && shield.IsUUID(uuid[len(uriKind)+1:]) {
			return uuid[len(uriKind)+1:]
		}
	}
	return ""
}

// Daemon returns the daemon's certificate, with the authority's behind it. It
// is made when it is first wanted, and anew at two thirds of its life.
func (a *Authority) Daemon() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.daemon != nil && now.Before(RenewAt(a.daemon.Leaf)) {
		return a.daemon, nil
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	der, err := create(&x509.Certificate{
		Subject: pkix.Name{CommonName: "shield daemon"}, DNSNames: []string{DaemonName},
		NotBefore: now.Add(-slack), NotAfter: now.Add(daemonLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a.daemon = &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
	return a.daemon, nil
}

// RenewAt is when two thirds of the life of a certificate are over.
func RenewAt(c *x509.Certificate) time.Time {
	issued := c.NotBefore.Add(slack)
	return issued.Add(c.NotAfter.Sub(issued) * 2 / 3)
}
