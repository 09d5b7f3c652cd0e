package agent

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
)

func requestOf(keyPEM []byte) ([]byte, error) {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, errors.New("the agent's key is no PEM file")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return pki.RequestFor(key)
}

// join gets the agent a certificate, unless it has one that is good. It tries
// until the daemon answers.
func (a *Agent) join(ctx context.Context) error {
	need, err := a.mustJoin()
	if err != nil || !need {
		return err
	}
	token, err := pki.ParseToken(a.opts.Token.Reveal())
	if err != nil {
		return err
	}
	request, err := a.state.request()
	if err != nil {
		return err
	}
	in := joinRequest{Name: a.opts.Name, Secret: token.Secret.Reveal(), Request: request}
	var out joinAnswer
	for wait := newBackoff(); ; {
		err := a.daemon.ask(ctx, "/v1/join", in, &out)
		if err == nil {
			return a.accept(token, &out)
		}
		if shield.CodeOf(err) != shield.Unavailable {
			return err
		}
		pause := wait.next()
		a.log.Warn("the daemon cannot be reached to join", "again in", pause.Round(time.Millisecond), "err", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// mustJoin reports whether the agent has no certificate that is good, or was
// given a token that it has not joined with.
func (a *Agent) mustJoin() (bool, error) {
	pair, authority := a.state.joined()
	if pair == nil && a.opts.Token == "" {
		return false, shield.FieldErrorf("token", "is missing: this agent has not joined; make one with `shield create agent-token --name %s`", a.opts.Name)
	}
	if pair == nil {
		return true, nil
	}
	if a.opts.Token != "" {
		token, err := pki.ParseToken(a.opts.Token.Reveal())
		if err != nil {
			return false, err
		}
		if token.Pin != pki.PinOf(authority.Raw) {
			return false, shield.FieldErrorf("token", "is of another daemon than the one that the folder %s is of: give another folder", a.opts.Dir)
		}
		return token.Digest() != a.state.joinedWith(), nil
	}
	if time.Now().Before(pair.Leaf.NotAfter) {
		return false, nil
	}
	return false, shield.Errorf(shield.Unauthorized, "", "the agent's certificate expired at %s: `shield delete agent %s`, then join with a new token", pair.Leaf.NotAfter.UTC().Format(time.RFC3339), a.opts.Name)
}

// accept keeps a certificate after it has looked whose it is.
func (a *Agent) accept(token pki.Token, got *joinAnswer) error {
	if pki.PinOf(got.Authority) != token.Pin {
		return shield.Errorf(shield.Unauthorized, "", "the daemon sent another authority than that of the token")
	}
	leaf, err := x509.ParseCertificate(got.Certificate)
	if err != nil || pki.AgentOf(leaf) == "" {
		return shield.Errorf(shield.Unauthorized, "", "the daemon sent what is no certificate of an agent: %v", err)
	}
	if err := a.state.keep(got.Certificate, got.Authority); err != nil {
		return err
	}
	if err := a.state.joinWith(token.Digest()); err != nil {
		return err
	}
	a.daemon.http.CloseIdleConnections() // those that were opened without a certificate
	a.log.Info("the agent has joined", "name", a.opts.Name, "certificate until", leaf.NotAfter)
	if a.opts.Joined != nil {
		a.opts.Joined()
	}
	return nil
}

// renew gets a new certificate when two thirds of the life of the old one are
// over, until ctx is done.
func (a *Agent) renew(ctx context.Context) {
	for {
		// A certificate that is made meanwhile is looked at soon enough.
		wait := time.Minute
		if pair, _ := a.state.joined(); pair != nil {
			wait = min(time.Until(pki.RenewAt(pair.Leaf)), time.Hour)
			if wait <= 0 {
				// A clock that is wrong makes a new certificate due at once, too.
				wait = time.Minute
				if left := time.Until(pair.Leaf.NotAfter); left > 0 {
					wait = min(wait, left/10+50*time.Millisecond)
				}
				if err := a.renewNow(ctx); err != nil && ctx.Err() == nil {
					a.log.Warn("the certificate was not renewed", "expires", pair.Leaf.NotAfter, "err", err)
				}
			}
		} else {
			wait = time.Second
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

func (a *Agent) renewNow(ctx context.Context) error {
	request, err := a.state.request()
	if err != nil {
		return err
	}
	var out joinAnswer
	if err := a.daemon.ask(ctx, "/v1/renew", renewRequest{request}, &out); err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(out.Certificate)
	if err != nil {
		return err
	}
	if err := a.state.keep(out.Certificate, nil); err != nil {
		return err
	}
	a.daemon.http.CloseIdleConnections()
	a.log.Info("the certificate was renewed", "until", leaf.NotAfter)
	return nil
}

// A backoff is how long to wait between attempts: twice as long each time up
// to a minute, less up to half of it, so that agents which lost their daemon
// together do not come back together.
type backoff struct{ pause time.Duration }

const maxPause = time.Minute

func newBackoff() *backoff { return &backoff{time.Second} }

func (b *backoff) next() time.Duration {
	pause := b.pause
	b.pause = min(2*b.pause, maxPause)
	return pause/2 + rand.N(pause/2)
}
