package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/net/netutil"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
)

// lookEvery is how often the dialer looks for agents that are to be dialled.
const lookEvery = 3 * time.Second

// dialAll dials the agents that are to be dialled, one goroutine an address,
// until the Dispatcher is closed.
func (d *Dispatcher) dialAll() {
	dialling := map[string]context.CancelFunc{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		wanted, err := d.addresses()
		if err != nil && d.ctx.Err() == nil {
			d.log.Error("which agents are to be dialled is not known", "err", err)
		}
		for address, cancel := range dialling {
			if err == nil && !wanted[address] {
				cancel()
				delete(dialling, address)
			}
		}
		for address := range wanted {
			if dialling[address] != nil {
				continue
			}
			ctx, cancel := context.WithCancel(d.ctx)
			dialling[address] = cancel
			d.work.Go(func() { d.keepDialling(ctx, address) })
		}
		select {
		case <-tick.C:
		case <-d.ctx.Done():
			return
		}
	}
}

// addresses returns those of agents, and of tokens with which agents are yet
// to join.
func (d *Dispatcher) addresses() (map[string]bool, error) {
	all, err := d.opts.Catalog.Agents(d.ctx, shield.Filter{})
	if err != nil {
		return nil, err
	}
	tokens, err := d.opts.Catalog.AgentTokens(d.ctx, now())
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, a := range all {
		if a.Dial != "" {
			wanted[a.Dial] = true
		}
	}
	for _, t := range tokens {
		if t.Dial != "" {
			wanted[t.Dial] = true
		}
	}
	return wanted, nil
}

func (d *Dispatcher) keepDialling(ctx context.Context, address string) {
	wait, last := newBackoff(), ""
	for ctx.Err() == nil {
		began := time.Now()
		err := d.dialOnce(ctx, address)
		if err == nil || time.Since(began) > steady {
			wait = newBackoff()
		}
		if err != nil && err.Error() != last && ctx.Err() == nil {
			last = err.Error() // said once, not each minute
			d.log.Warn("an agent cannot be dialled", "address", address, "err", err)
		}
		if !sleep(ctx, wait.next()) {
			return
		}
	}
}

// dialOnce dials an agent, lets it join if it has not, and keeps the link
// until it ends.
func (d *Dispatcher) dialOnce(ctx context.Context, address string) error {
	var uuid string
	config := d.opts.Authority.DaemonClient(func(leaf *x509.Certificate) error {
		if leaf != nil {
			uuid = pki.AgentOf(leaf)
		}
		return nil
	})
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 15 * time.Second}, Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	session, err := yamux.Client(conn, muxConfig())
	if err != nil {
		return err
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	if uuid != "" {
		a, err := d.enrolled(ctx, uuid)
		if err == nil {
			return d.linkDialled(newLink(a, address, address, session))
		}
		if !errors.Is(err, shield.Unauthorized) {
			return err
		}
	}
	return d.joinDialled(ctx, newLink(&shield.Agent{Meta: shield.Meta{Name: address}}, "", address, session))
}

// dialledStreams is how many requests of an agent that is dialled are served at
// once: each may hold a window of bytes.
const dialledStreams = 128

// linkDialled serves both directions of a link: the agent has no other way to
// the daemon.
func (d *Dispatcher) linkDialled(l *link) error {
	s := &http.Server{
		Handler: d.Handler(), ReadHeaderTimeout: time.Minute, IdleTimeout: 5 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(d.ctx, agentKey{}, l.agent.UUID) },
	}
	d.work.Go(func() { _ = s.Serve(netutil.LimitListener(l.session, dialledStreams)) })
	d.serveLinked(l)
	return s.Close()
}

// joinDialled redeems the token that an agent has, which it shows to no one
// but the daemon that the token is of.
func (d *Dispatcher) joinDialled(ctx context.Context, l *link) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var in joinRequest
	if err := l.ask(ctx, http.MethodGet, "/v1/joining", nil, &in); err != nil {
		return err
	}
	answer, err := d.enrol(ctx, &in)
	if err != nil {
		d.refuse(in.Name, "", l.address, err)
		return err
	}
	err = l.ask(ctx, http.MethodPost, "/v1/joined", answer, nil)
	if err != nil && !errors.Is(err, errBroken) { // it may hang up before its answer is read
		return err
	}
	return nil
}
