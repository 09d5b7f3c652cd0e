package rest

import (
	"context"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

// Settings are the fields that endpoints of all services have.
type Settings struct {
	Place   string
	Retries int    // field "retries"
	Stall   string // field "stall_timeout"
	CA      string // field "ca"
	// Cert and Key are of a client certificate, the fields of these names.
	Cert, Key string
	Insecure  bool   // field "skip_ssl_validation"
	Proxy     string // field "proxy"
	Log       func(string)
}

// retriesLimit is more than anybody needs.
const retriesLimit = 100

// NewClient returns a client. The errors are Invalid and name the field.
func NewClient(s *Settings) (*Client, error) {
	c := &Client{Place: s.Place, Retries: s.Retries, Log: s.Log}
	if c.Retries < 0 || c.Retries > retriesLimit {
		return nil, shield.FieldErrorf("endpoint.retries", "is %d: 0 to %d is wanted", c.Retries, retriesLimit)
	}
	var err error
	if c.Stall, err = time.ParseDuration(s.Stall); err != nil || c.Stall < time.Second {
		return nil, shield.FieldErrorf("endpoint.stall_timeout", "is %q: a duration of at least 1s is wanted, like 2m", s.Stall)
	}
	if s.CA != "" || s.Cert != "" || s.Insecure {
		c.options.TLS = &pdk.TLSConfig{CA: s.CA, Cert: s.Cert, Key: s.Key, Insecure: s.Insecure}
	}
	if c.options.Proxy, err = checkProxy(s.Proxy); err != nil {
		return nil, err
	}
	if c.Transport, err = pdkhttp.New(&c.options); err != nil {
		return nil, shield.FieldErrorf("endpoint.ca", "%v", err)
	}
	return c, nil
}

// checkProxy returns the URL of a proxy, which may be none.
func checkProxy(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return "", shield.FieldErrorf("endpoint.proxy", "is not a URL like http://host:port, https://host:port or socks5://host:port")
	}
	return text, nil
}

// Undo has a request without a body sent if the plugin is stopped before the
// returned function is called. Where the plugin is told to stop instead, it
// has to see to that itself.
func (c *Client) Undo(ctx context.Context, r *Request) (keep func(), err error) {
	request, err := r.build(ctx)
	if err != nil {
		return nil, err
	}
	undo, err := pdkhttp.Undo(&c.options, request)
	if err != nil {
		return nil, c.failed(ctx, r.Op, err)
	}
	return func() { _ = undo.Close() }, nil
}
