package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/internal/storewire"
)

// links are those of an agent that is dialled. Calls of the daemon take the
// newest.
type links struct {
	mu      sync.Mutex
	session *yamux.Session
	changed chan struct{}
}

func (l *links) set(s *yamux.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// linkPatience is how long a call waits for the daemon to dial.
const linkPatience = 10 * time.Second

// dial opens a stream of the link.
func (l *links) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, linkPatience)
	defer cancel()
	for {
		l.mu.Lock()
		s := l.session
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		if s != nil && !s.IsClosed() {
			if c, err := s.Open(); err == nil {
				return c, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, shield.Errorf(shield.Unavailable, "", "the daemon has not dialled this agent")
		}
	}
}

// listen waits for the daemon to dial, until ctx is done.
func (a *Agent) listen(ctx context.Context) error {
	if _, err := a.mustJoin(); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.opts.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	if a.opts.Ready != nil {
		a.opts.Ready(l.Addr().String())
	}
	config, err := a.listenTLS()
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return shield.FirstError(ctx.Err(), err)
		}
		serving.Go(func() {
			if err := a.accepted(ctx, tls.Server(conn, config)); err != nil && ctx.Err() == nil {
				a.log.Warn("a link ended", "from", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// listenTLS takes no one but the daemon. Before it has joined, the agent has
// nothing but a certificate of its own making.
func (a *Agent) listenTLS() (*tls.Config, error) {
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(20 * 365 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	own := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair, _ := a.state.joined(); pair != nil && time.Now().Before(pair.Leaf.NotAfter) {
				return pair, nil
			}
			return own, nil
		},
		VerifyConnection: a.verifyDaemon(false),
	}, nil
}

// accepted serves a connection of the daemon's.
func (a *Agent) accepted(ctx context.Context, conn *tls.Conn) error {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	session, err := yamux.Server(conn, muxConfig())
	if err != nil {
		return err
	}
	if need, err := a.mustJoin(); err != nil || need {
		return a.serveJoin(ctx, session)
	}
	a.daemon.links.set(session)
	a.log.Info("linked to the daemon", "from", conn.RemoteAddr())
	return a.serveLink(ctx, session)
}

// serveJoin is all that an agent which has not joined answers. The daemon has
// shown that it is the token's.
func (a *Agent) serveJoin(ctx context.Context, session *yamux.Session) error {
	defer session.Close()
	token, err := pki.ParseToken(a.opts.Token.Reveal())
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/joining", func(w http.ResponseWriter, req *http.Request) {
		request, err := a.state.request()
		if err != nil {
			storewire.WriteError(w, err)
			return
		}
		storewire.WriteJSON(w, http.StatusOK, joinRequest{Name: a.opts.Name, Secret: token.Secret.Reveal(), Request: request})
	})
	mux.HandleFunc("POST /v1/joined", func(w http.ResponseWriter, req *http.Request) {
		var got joinAnswer
		err := decode(w, req, &got)
		if err == nil {
			err = a.accept(token, &got)
		}
		if err != nil {
			storewire.WriteError(w, err)
		} else {
			w.WriteHeader(http.StatusNoContent)
		}
		done <- err
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- s.Serve(session) }()
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	select {
	case err = <-done:
		shut, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_ = s.Shutdown(shut)
	case err = <-served:
		err = endOf(err)
	case <-time.After(2 * time.Minute):
		err = shield.Errorf(shield.TimedOut, "", "the daemon did not let the agent join in time")
	}
	return err
}
