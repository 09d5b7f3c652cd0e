package faultproxy

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// HTTP is a proxy for a server that speaks HTTP.
type HTTP struct {
	*front
	rules
	URL string // scheme://host:port, what the plugin is to be given

	upstream  *url.URL
	transport *http.Transport

	dropping sync.Map // net.Conn

	seenMu sync.Mutex
	seen   []Seen
}

// Seen is a request that has come to the proxy.
type Seen struct {
	Method string
	URL    string // path and query
	Header http.Header
	Status int // of the answer; 0 if none was given
}

// Options are the settings of an HTTP proxy. nil is none of them.
type Options struct {
	TLS      *tls.Config // what the proxy serves with; plain HTTP if nil
	Upstream *tls.Config // for a server that is reached by https
}

// StartHTTP starts a proxy for the server at a base URL, which ends with the
// test.
func StartHTTP(t testing.TB, upstream string, o *Options) *HTTP {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	base, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	p := &HTTP{front: newFront(t), upstream: base, transport: &http.Transport{
		TLSClientConfig: o.Upstream, DisableCompression: true, MaxIdleConnsPerHost: 16,
	}}
	p.tls = o.TLS
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
	}
	p.serve = func(l net.Listener) {
		s := &http.Server{
			Handler: http.HandlerFunc(p.handle), ErrorLog: log.New(io.Discard, "", 0),
			ConnState:   p.dropIdle,
			ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		}
		if p.tls != nil {
			l = tls.NewListener(l, p.tls)
		}
		_ = s.Serve(l) // ends with Down
	}
	p.Up()
	p.URL = scheme + "://" + p.addr
	t.Cleanup(p.close)
	t.Cleanup(p.transport.CloseIdleConnections)
	return p
}

type connKey struct{}

// Seen returns the requests since the last call of Forget.
func (p *HTTP) Seen() []Seen {
	p.seenMu.Lock()
	defer p.seenMu.Unlock()
	return append([]Seen(nil), p.seen...)
}

// Forget empties the list that Seen returns.
func (p *HTTP) Forget() {
	p.seenMu.Lock()
	defer p.seenMu.Unlock()
	p.seen = nil
}

func (p *HTTP) handle(w http.ResponseWriter, r *http.Request) {
	n := p.note(r)
	fault := p.pick(r)
	if fault == nil {
		fault = &Fault{}
	}
	x := &exchange{p: p, f: fault, w: w, r: r, n: n, conn: r.Context().Value(connKey{}).(net.Conn)}
	if err := x.run(); err != nil {
		reset(x.conn)
		panic(http.ErrAbortHandler)
	}
	if fault.drop {
		p.dropping.Store(x.conn, nil)
	}
}

// dropIdle ends a connection whose exchange was to be the last.
func (p *HTTP) dropIdle(c net.Conn, state http.ConnState) {
	if _, last := p.dropping.LoadAndDelete(c); last && state == http.StateIdle {
		_ = c.Close()
	}
}

func (p *HTTP) note(r *http.Request) int {
	p.seenMu.Lock()
	defer p.seenMu.Unlock()
	p.seen = append(p.seen, Seen{Method: r.Method, URL: r.URL.RequestURI(), Header: r.Header.Clone()})
	return len(p.seen) - 1
}

func (p *HTTP) noteStatus(n, status int) {
	p.seenMu.Lock()
	defer p.seenMu.Unlock()
	if n < len(p.seen) {
		p.seen[n].Status = status
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }
