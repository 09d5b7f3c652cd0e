package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
)

func authority(t *testing.T) *pki.Authority {
	t.Helper()
	data, err := pki.Generate()
	if err != nil {
		t.Fatal(err)
	}
	a, err := pki.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, a *pki.Authority, id string, life time.Duration) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := pki.RequestFor(key)
	if err != nil {
		t.Fatal(err)
	}
	der, _, err := a.Issue(request, id, life)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf
}

// shake makes a handshake and returns what each side says of it. The client
// learns from its first read what the server thinks of its certificate.
func shake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
			c.Close()
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		if _, err = c.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			err = nil
		}
		c.Close()
	}
	return err, <-done
}

func TestAgentToDaemon(t *testing.T) {
	t.Parallel()
	own, other := authority(t), authority(t)
	id := uuid.NewString()
	good, leaf := issue(t, own, id, time.Hour)
	expired, _ := issue(t, own, id, -time.Minute)
	foreign, _ := issue(t, other, id, time.Hour)
	if got := pki.AgentOf(leaf); got != id {
		t.Errorf("the certificate is of agent %q, want %q", got, id)
	}
	client := func(pin string, c ...tls.Certificate) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, VerifyConnection: pki.Pinned(pin, true, nil), Certificates: c}
	}
	for _, c := range []struct {
		name          string
		client        *tls.Config
		agent, daemon string // what its error has
	}{
		{"right", client(own.Pin(), good), "", ""},
		{"joining", client(own.Pin()), "", ""},
		{"wrong authority", client(other.Pin(), good), "another authority", "certificate"},
		{"expired", client(own.Pin(), expired), "expired", "expired"},
		{"of another authority", client(own.Pin(), foreign), "unknown certificate authority", "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			agent, daemon := shake(t, c.client, own.DaemonServer())
			for _, side := range []struct {
				name, want string
				err        error
			}{{"agent", c.agent, agent}, {"daemon", c.daemon, daemon}} {
				if side.want == "" && side.err != nil || side.want != "" && (side.err == nil || !strings.Contains(side.err.Error(), side.want)) {
					t.Errorf("the %s says %v, want %q", side.name, side.err, side.want)
				}
			}
		})
	}
}

// TestAgentIsNoDaemon checks that the certificate of an agent does not stand
// for the daemon.
func TestAgentIsNoDaemon(t *testing.T) {
	t.Parallel()
	a := authority(t)
	_, leaf := issue(t, a, uuid.NewString(), time.Hour)
	if err := pki.VerifyDaemon(leaf, a.Pool(), true); err == nil {
		t.Error("an agent's certificate is taken for the daemon's")
	}
	c, err := a.Daemon()
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []bool{true, false} {
		if err := pki.VerifyDaemon(c.Leaf, a.Pool(), server); err != nil {
			t.Errorf("as server %v: %v", server, err)
		}
	}
	if pki.AgentOf(c.Leaf) != "" {
		t.Error("the daemon's certificate is taken for an agent's")
	}
}

func TestRenewAt(t *testing.T) {
	t.Parallel()
	_, leaf := issue(t, authority(t), uuid.NewString(), 30*time.Hour)
	if in := time.Until(pki.RenewAt(leaf)); in < 19*time.Hour || in > 21*time.Hour {
		t.Errorf("a certificate of 30 hours is renewed in %s", in)
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	if _, _, err := authority(t).Issue([]byte("x"), uuid.NewString(), time.Hour); !errors.Is(err, shield.Invalid) {
		t.Errorf("%v, want Invalid", err)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	a := authority(t)
	made := a.NewToken()
	got, err := pki.ParseToken(made.Reveal() + "\n")
	if err != nil || got != made || got.Digest() != made.Digest() || got.Pin != a.Pin() {
		t.Errorf("%v, %v", got, err)
	}
	if text := fmt.Sprintf("%v %+v", made, made); strings.Contains(text, made.Secret.Reveal()) {
		t.Error("a token can be printed by accident")
	}
	for _, text := range []string{"", "x", "shield-join_" + a.Pin(), "shield-join_x_" + made.Secret.Reveal()} {
		if _, err := pki.ParseToken(text); !errors.Is(err, shield.Invalid) {
			t.Errorf("%q: %v, want Invalid", text, err)
		}
	}
}
