// Package pdkhttp makes HTTP requests for Go plugins. It is apart from
// package pdk, since net/http makes a module larger by a third and slower to
// compile.
package pdkhttp

import (
	"io"
	"net/http"
	"time"

	"github.com/shieldhq/shield/plugin/pdk"
)

// Options are the settings of a transport. nil is none of them.
type Options struct {
	TLS *pdk.TLSConfig
	// Proxy is the URL of one to connect by: http, https or socks5. In the
	// sandbox its address has to be granted as a capability "tcp".
	Proxy string
	// Idle is how long no byte may move while one is waited for; 0 is for
	// ever.
	Idle time.Duration
}

// Client returns a client that follows no redirects: what one leads to has
// to be granted, too, and asked for by itself.
func Client() *http.Client {
	return &http.Client{
		Transport:     Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Transport returns a transport that client libraries can use.
func Transport() http.RoundTripper { return &transport{} }

// New returns a transport with settings. Errors are about these.
func New(o *Options) (http.RoundTripper, error) {
	if o == nil {
		o = &Options{}
	}
	return newTransport(o)
}

// Undo has the request sent if the plugin is stopped before the returned
// Closer is closed. It does so in the sandbox only: elsewhere a plugin is
// told to stop and can clean up by itself.
func Undo(o *Options, r *http.Request) (io.Closer, error) {
	if o == nil {
		o = &Options{}
	}
	return undo(o, r)
}
