//go:build !wasip1

package pdkhttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/shieldhq/shield/internal/idle"
)

// A transport is net/http's, made when it is first used.
type transport struct {
	Options
	once  sync.Once
	inner *http.Transport
	err   error
}

func newTransport(o *Options) (http.RoundTripper, error) {
	t := &transport{Options: *o}
	t.once.Do(t.open)
	return t, t.err
}

func (t *transport) open() {
	t.inner = &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 30 * time.Second,
		ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return idle.Conn(c, t.Idle), nil
		},
	}
	if t.inner.TLSClientConfig, t.err = t.TLS.Native(); t.err != nil || t.Proxy == "" {
		return
	}
	u, err := url.Parse(t.Proxy)
	if err != nil || u.Host == "" {
		t.err = errors.New("proxy is no URL like http://host:port or socks5://host:port")
		return
	}
	t.inner.Proxy = http.ProxyURL(u)
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.once.Do(t.open); t.err != nil {
		return nil, t.err
	}
	return t.inner.RoundTrip(r)
}

// CloseIdleConnections closes those that nobody uses.
func (t *transport) CloseIdleConnections() {
	if t.once.Do(t.open); t.err == nil {
		t.inner.CloseIdleConnections()
	}
}

func undo(*Options, *http.Request) (io.Closer, error) { return io.NopCloser(nil), nil }
