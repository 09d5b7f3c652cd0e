package wasmhost

import (
	"context"
	"crypto/tls"
	"encoding/json"
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

	"github.com/shieldhq/shield/internal/idle"
)

type httpDescriptor struct {
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header"`
	// Length is that of the body: 0 for none, -1 for one whose end is told
	// by shut.
	Length    int64 `json:"length"`
	TimeoutMS int64 `json:"timeout_ms"` // until the header of the answer
	// Memory is where in the guest's memory the body lies, which is sent from
	// there.
	Memory *uint32 `json:"memory"`
	// Undo keeps the request: it is sent only if the handle is still open when
	// the guest ends, however it ends. It has no body.
	Undo bool `json:"undo"`
	httpSettings
}

// httpSettings are those that connections are shared by.
type httpSettings struct {
	Proxy  string `json:"proxy"`   // URL of one to connect by: http, https or socks5
	IdleMS int64  `json:"idle_ms"` // how long no byte may move while one is waited for
	tlsSettings
}

// openHTTP sends a request. What is written to the handle is its body, what
// is read from it the body of the answer.
func (i *instance) openHTTP(d *httpDescriptor, m memory) (handle, error) {
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, i.errorf(errInvalid, "url is no URL like https://host:port/path")
	}
	if !i.rights.needs.MayRequest(u) || !i.rights.bound.MayRequest(u) {
		return nil, i.deny("http", "request %s", shownURL(u))
	}
	transport, err := i.transportFor(d)
	if err != nil {
		return nil, err
	}
	if d.Undo {
		return i.openUndo(d, transport)
	}
	x := &exchange{}
	x.ctx, x.cancel = context.WithCancelCause(i.ctx)
	x.stream = &stream{in: newRing(streamRing, i.wake, newSignal()), status: x.status, end: x.abort}
	var body io.Reader
	switch {
	case d.Memory != nil:
		if x.lent, err = i.lend(m, *d.Memory, d.Length); err != nil {
			return nil, err
		}
		body = x.lent.open()
	case d.Length != 0:
		x.out = newRing(bodyRing, newSignal(), i.wake)
		body = ringReader{x.ctx, x.out}
	}
	request, err := d.request(x.ctx, i, body)
	if err != nil {
		return nil, err
	}
	if x.lent != nil { // lets a request begin anew whose connection had been closed
		request.GetBody = func() (io.ReadCloser, error) { return x.lent.open(), nil }
	}
	i.pump(func() { x.run(i, transport, request, d.TimeoutMS) })
	return x, nil
}

// shownURL leaves out what may be secret.
func shownURL(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

func (d *httpDescriptor) request(ctx context.Context, i *instance, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, d.Method, d.URL, body)
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

// transportFor returns the transport for requests of these settings, of which
// there is one, so that connections are used again.
func (i *instance) transportFor(d *httpDescriptor) (*http.Transport, error) {
	key, err := json.Marshal(d.httpSettings)
	if err != nil {
		return nil, i.errorf(errInvalid, "the settings are not valid: %v", err)
	}
	if t := i.transports[string(key)]; t != nil {
		return t, nil
	}
	if len(i.transports) >= transportLimit {
		return nil, i.errorf(errInvalid, "requests have %d different settings: no more are allowed", transportLimit)
	}
	config, err := d.config(i, "") // the transport takes the name from each URL
	if err != nil {
		return nil, err
	}
	proxy, err := i.proxy(d.Proxy)
	if err != nil {
		return nil, err
	}
	t := i.newTransport(config, time.Duration(max(d.IdleMS, 0))*time.Millisecond)
	t.Proxy = proxy
	if i.transports == nil {
		i.transports = map[string]*http.Transport{}
	}
	i.transports[string(key)] = t
	return t, nil
}

const transportLimit = 16

// proxy returns what a transport asks for its proxy. The address of one has
// to be granted.
func (i *instance) proxy(text string) (func(*http.Request) (*url.URL, error), error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
	if err != nil || u.Hostname() == "" || ports[u.Scheme] == "" {
		return nil, i.errorf(errInvalid, "proxy is no URL like http://host:port or socks5://host:port")
	}
	port := u.Port()
	if port == "" {
		port = ports[u.Scheme]
	}
	if err := i.mayDial(net.JoinHostPort(u.Hostname(), port)); err != nil {
		return nil, err
	}
	return http.ProxyURL(u), nil
}

// newTransport returns a transport that decodes nothing.
func (i *instance) newTransport(config *tls.Config, limit time.Duration) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			c, err := i.dial(ctx, addr)
			if err != nil {
				return nil, err
			}
			return idle.Conn(c, limit), nil
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
	lent   *lent // the body, if it is sent from the guest's memory

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

func (x *exchange) abort() {
	x.cancel(errPipe)
	x.takeBack()
}

// takeBack ends the reading of the guest's memory.
func (x *exchange) takeBack() {
	if x.lent != nil {
		x.lent.back()
	}
}

// run does not follow redirects: the guest has to open what they lead to, and
// so each hop is checked.
func (x *exchange) run(i *instance, t http.RoundTripper, r *http.Request, timeoutMS int64) {
	defer x.cancel(nil)
	if timeoutMS > 0 {
		timer := time.AfterFunc(time.Duration(timeoutMS)*time.Millisecond, func() { x.expire() })
		defer timer.Stop()
	}
	answer, err := t.RoundTrip(r)
	x.takeBack()
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
