// Package rest is what the store plugins for object stores over HTTP share:
// requests that are tried again where that is safe, given up when no byte
// moves, and classified when they fail; blocks of a stream in bounded memory;
// downloads that resume; the test of a store by a small object.
package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

// A Client sends requests to one service. It is safe for concurrent use.
type Client struct {
	// Place is where the store is, for errors: "https://host/container".
	Place     string
	Transport http.RoundTripper
	// Retries is how often a request that failed is sent again.
	Retries int
	// Stall is for how long no byte may move, either way, until a request is
	// given up.
	Stall time.Duration
	Log   func(line string)

	options pdkhttp.Options
}

// A Request can be sent several times.
type Request struct {
	Op     string // what it does, for errors: "put block 3"
	Method string
	URL    *url.URL
	Header http.Header
	// Body gives the body anew for each try; nil is none. What it reads from
	// is not touched any more once the request is done.
	Body func() io.Reader
	// Length is that of the body, -1 if its end is told by that of the
	// reader. The time for which the reader has nothing to give is not one in
	// which no byte moves.
	Length int64
	// Sign is called before each try, to add what proves who sends it.
	Sign func(context.Context, *http.Request) error
	// Once is for what must not be sent again by itself.
	Once bool
}

// An Answer is one that was read to its end, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// answerLimit bounds what is read of an answer that is no download.
const answerLimit = 16 << 20

// Do sends a request until it is answered with something that is not a
// passing failure of the service, or there are no tries left. The error, of
// shield's, is about having no answer; what the answer means is for the caller
// to say.
func (c *Client) Do(ctx context.Context, r *Request) (*Answer, error) {
	for try := 0; ; try++ {
		a, err := c.once(ctx, r)
		if err == nil && !passing(a.Status) {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if r.Once || try >= c.Retries || err != nil && !Passing(err) {
			return a, err
		}
		if err := c.wait(ctx, r.Op, try, a, err); err != nil {
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, r *Request) (*Answer, error) {
	x, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	b, err := io.ReadAll(io.LimitReader(x, answerLimit+1))
	if err != nil {
		return nil, err
	}
	if len(b) > answerLimit {
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the answer has more than %d bytes", c.Place, r.Op, answerLimit)
	}
	return &Answer{x.Status, x.Header, b}, nil
}

// Stream sends a request once and returns its answer with the body unread.
// The caller closes it.
func (c *Client) Stream(ctx context.Context, r *Request) (*Exchange, error) { return c.send(ctx, r) }

// An Exchange is a request whose answer has begun. Reading gives the body; it
// fails when it had to wait for a byte for the stall time, and when the body
// is shorter than its header said.
type Exchange struct {
	Status int
	Header http.Header
	Length int64 // of the body; -1 if unknown

	client *Client
	op     string
	ctx    context.Context
	watch  *watchdog
	in     io.ReadCloser
	left   int64
}

// send returns an error of shield's.
func (c *Client) send(ctx context.Context, r *Request) (*Exchange, error) {
	watch := newWatchdog(ctx, c.Stall)
	x, err := c.exchange(watch, r)
	if err != nil {
		err = c.failed(ctx, r.Op, watch.explain(err))
		watch.stop()
		return nil, err
	}
	watch.rest()
	x.ctx = ctx
	return x, nil
}

func (c *Client) exchange(watch *watchdog, r *Request) (*Exchange, error) {
	request, err := r.build(watch.ctx)
	if err != nil {
		return nil, err
	}
	request.Body = http.NoBody
	if r.Body != nil && r.Length != 0 {
		b := &body{r: r.Body(), watch: watch}
		defer b.end()
		request.Body = b
	}
	answer, err := c.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	x := &Exchange{
		Status: answer.StatusCode, Header: answer.Header, Length: answer.ContentLength,
		client: c, op: r.Op, watch: watch, in: answer.Body, left: answer.ContentLength,
	}
	if r.Method == http.MethodHead {
		x.left = 0
	}
	return x, nil
}

// build returns the request of one try, without its body.
func (r *Request) build(ctx context.Context) (*http.Request, error) {
	request := (&http.Request{
		Method: r.Method, URL: r.URL, Host: r.URL.Host, Header: r.Header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: r.Length,
	}).WithContext(ctx)
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if r.Sign == nil {
		return request, nil
	}
	return request, r.Sign(ctx, request)
}

// Read implements io.Reader.
func (x *Exchange) Read(p []byte) (int, error) {
	x.watch.moved()
	n, err := x.in.Read(p)
	x.watch.rest()
	if x.Length >= 0 {
		x.left -= int64(n)
	}
	if errors.Is(err, io.EOF) && x.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, x.client.failed(x.ctx, x.op, x.watch.explain(err))
}

// Close ends the exchange, whatever is left of it.
func (x *Exchange) Close() error {
	defer x.watch.stop()
	return x.in.Close()
}

// failed makes an error of shield's of one that sending or reading met.
func (c *Client) failed(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var own *shield.Error
	if errors.As(err, &own) && own.Field != "" {
		return own
	}
	return shield.Errorf(transportCode(err), "", "%s: %s: %w", c.Place, op, plain(err))
}

// plain drops what http and url wrap around errors: the URL in it may hold a
// signature.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Words says what an answer was, for errors: the status and the
// service's own words, without white space at their ends.
func (a *Answer) Words(code, message string) string {
	text := fmt.Sprintf("%d", a.Status)
	for _, more := range []string{code, strings.TrimSpace(message)} {
		if more != "" {
			text += " " + more
		}
	}
	return text
}
