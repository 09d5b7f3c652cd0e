package wasmhost

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"
)

type httpDescriptor struct {
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header"`
	// Length is that of the body: 0 for none, -1 for one whose end is told
	// by shut.
	Length    int64 `json:"length"`
	TimeoutMS int64 `json:"timeout_ms"` // until the header of the answer
	tlsSettings
}

// openHTTP sends a request. What is written to the handle is its body, what
// is read from it the body of the answer.
func (i *instance) openHTTP(d *httpDescriptor) (handle, error) {
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, i.errorf(errInvalid, "url is no URL like https://host:port/path")
	}
	if !i.rights.needs.MayRequest(u) || !i.rights.bound.MayRequest(u) {
		return nil, i.deny("http", "request %s", shownURL(u))
	}
	x := &exchange{}
	x.ctx, x.cancel = context.WithCancelCause(i.ctx)
	x.stream = &stream{in: newRing(streamRing, i.wake, newSignal()), status: x.status, end: x.abort}
	if d.Length != 0 {
		x.out = newRing(streamRing, newSignal(), i.wake)
	}
	request, err := d.request(i, x)
	if err != nil {
		return nil, err
	}
	transport, err := i.transportFor(d, u)
	if err != nil {
		return nil, err
	}
	i.pump(func() { x.run(i, transport, request, d.TimeoutMS) })
	return x, nil
}

// shownURL leaves out what may be secret.
func shownURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

func (d *httpDescriptor) request(i *instance, x *exchange) (*http.Request, error) {
	var body io.Reader
	if x.out != nil {
		body = ringReader{x.ctx, x.out}
	}
	r, err := http.NewRequestWithContext(x.ctx, d.Method, d.URL, body)
	if err != nil {
		return nil, i.errorf(errInvalid, "the request is not valid: %v", err)
	}
	r.ContentLength = max(d.Length, -1)
	for name, values := range d.Header {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name == "Host" && (len(values) != 1 || !strings.EqualFold(values[0], r.URL.Host)) {
			return nil, i.errorf(errInvalid, "the header Host has to be that of the URL")
		}
		r.Header[name] = values
	}
	r.Header.Del("Host")
	if _, ok := r.Header["User-Agent"]; !ok {
		r.Header.Set("User-Agent", "shield")
	}
	return r, nil
}

// transportFor returns the instance's transport, or one of its own for a
// request with special settings.
func (i *instance) transportFor(d *httpDescriptor, u *url.URL) (http.RoundTripper, error) {
	special := d.Name != "" || d.CA != "" || d.Cert != "" || d.Insecure || len(d.ALPN) > 0
	if !special && i.transport != nil {
		return i.transport, nil
	}
	config, err := d.config(i, u.Hostname())
	if err != nil {
		return nil, err
	}
	if special {
		t := i.newTransport(config)
		t.DisableKeepAlives = true
		return t, nil
	}
	config.ServerName = "" // the transport takes that of each URL
	i.transport = i.newTransport(config)
	return i.transport, nil
}

// newTransport returns a transport that follows no proxy and decodes nothing.
func (i *instance) newTransport(config *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return i.dial(ctx, addr)
		},
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: requestLimit,
		ReadBufferSize:         64 << 10,
		WriteBufferSize:        64 << 10,
	}
}

// An exchange is a request and its answer.
type exchange struct {
	*stream
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	info map[string]any
	err  error
}

func (x *exchange) status() (map[string]any, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.info == nil && x.err == nil {
		return nil, errAgain
	}
	return x.info, x.err
}

func (x *exchange) abort() { x.cancel(errPipe) }

// run does not follow redirects: the guest has to open what they lead to, and
// so each hop is checked.
func (x *exchange) run(i *instance, t http.RoundTripper, r *http.Request, timeoutMS int64) {
	defer x.cancel(nil)
	if timeoutMS > 0 {
		timer := time.AfterFunc(time.Duration(timeoutMS)*time.Millisecond, func() { x.expire() })
		defer timer.Stop()
	}
	answer, err := t.RoundTrip(r)
	if err != nil {
		x.fail(i, err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	if x.out != nil {
		x.out.abandon(errPipe) // what an early answer leaves of the body is not wanted
	}
	x.mu.Lock()
	x.info = map[string]any{"status": answer.StatusCode, "header": answer.Header, "length": answer.ContentLength}
	x.mu.Unlock()
	nudge(i.wake)
	if err := x.in.fill(x.ctx, answer.Body); err != nil {
		x.in.finish(fmt.Errorf("reading the answer: %w", err))
		return
	}
	x.in.finish(io.EOF)
}

// expire ends a request whose answer has not begun in time.
func (x *exchange) expire() {
	if _, err := x.status(); again(err) {
		x.cancel(errTimedOut)
	}
}

func (x *exchange) fail(i *instance, err error) {
	var own *textError
	if cause := context.Cause(x.ctx); cause != nil && !errors.As(err, &own) {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	x.mu.Lock()
	x.err = err
	x.mu.Unlock()
	x.in.finish(err)
	if x.out != nil {
		x.out.abandon(err)
	}
	nudge(i.wake)
}
