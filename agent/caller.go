package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/internal/storewire"
)

// moduleLimit is the size, in bytes, of the largest module.
const moduleLimit = 64 << 20

// apiPrefix is where the daemon's API for agents begins.
const apiPrefix = "/agent"

// A caller calls the daemon: by HTTPS of its own, or, where the daemon dials
// the agent, over the link.
type caller struct {
	agent *Agent
	base  string
	http  *http.Client // for what is answered soon
	bulk  *http.Client // for streams
	links *links       // of an agent that is dialled
}

func newCaller(a *Agent) *caller {
	c := &caller{agent: a}
	t := &http.Transport{DisableCompression: true, ForceAttemptHTTP2: false, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	if a.core != nil {
		c.base = (&url.URL{Scheme: a.core.Scheme, Host: a.core.Host}).String() + apiPrefix
		t.Proxy = a.proxy
		t.TLSClientConfig = a.clientTLS()
		t.TLSHandshakeTimeout = 30 * time.Second
		t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	} else {
		c.links = &links{}
		c.base = "http://daemon" + apiPrefix
		t.DialContext = c.links.dial
	}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &http.Client{Transport: t, CheckRedirect: noRedirect, Timeout: 2 * time.Minute}
	c.bulk = &http.Client{Transport: t, CheckRedirect: noRedirect}
	return c
}

// clientTLS presents the agent's certificate, if it has one, and takes no
// daemon but that which it has joined or, before that, the one of its token.
func (a *Agent) clientTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: pki.DaemonName, NextProtos: []string{"http/1.1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			// With one that has expired not even joining anew would work.
			if pair, _ := a.state.joined(); pair != nil && time.Now().Before(pair.Leaf.NotAfter) {
				return pair, nil
			}
			return &tls.Certificate{}, nil
		},
		InsecureSkipVerify: true, // VerifyConnection does, by the daemon's own authority
		VerifyConnection:   a.verifyDaemon(true),
	}
}

func (a *Agent) verifyDaemon(server bool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		pin := ""
		if _, authority := a.state.joined(); authority != nil {
			pin = pki.PinOf(authority.Raw)
		} else if token, err := pki.ParseToken(a.opts.Token.Reveal()); err == nil {
			pin = token.Pin
		}
		return pki.Pinned(pin, server, nil)(s)
	}
}

// call makes a request and returns the body of a good answer.
func (c *caller) call(ctx context.Context, method, path string, body []byte, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if err := storewire.ReadError(resp); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if int64(len(b)) > limit {
		return nil, shield.Errorf(shield.Corrupt, "", "the daemon's answer has more than %d bytes", limit)
	}
	return b, nil
}

// unreachable tells what does not pass, a certificate that is wrong, from what
// may.
func (c *caller) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var alert tls.AlertError
	var verify *tls.CertificateVerificationError
	code := shield.Unavailable
	if errors.Is(err, pki.ErrNotPinned) || errors.As(err, &verify) || errors.As(err, &alert) {
		code = shield.Unauthorized
	}
	return shield.Errorf(code, "", "the daemon at %s: %w", c.base, err)
}

func (c *caller) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	return c.call(ctx, http.MethodGet, path, nil, limit)
}

func (c *caller) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.call(ctx, http.MethodPost, path, body, orderLimit)
}

// ask posts in as JSON and decodes the answer into out.
func (c *caller) ask(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	answer, err := c.post(ctx, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return shield.Errorf(shield.Unavailable, "", "the daemon's answer cannot be read: is %s a daemon's address for agents?", c.base)
	}
	return nil
}

// DigestOf returns the digest that names a module.
func DigestOf(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}
