package faultproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// An exchange is one request and its answer.
type exchange struct {
	p    *HTTP
	f    *Fault
	w    http.ResponseWriter
	r    *http.Request
	n    int // its place in what was seen
	conn net.Conn
}

// run returns an error if the connection is to be reset.
func (x *exchange) run() error {
	body := &passage{r: x.r.Body, flow: x.f.request, x: x}
	if x.f.keep {
		if !x.f.unread {
			if _, err := io.Copy(io.Discard, body); err != nil {
				return err
			}
		}
		x.say(x.f.answer)
		return nil
	}
	// A fault of the request that lies at its end or beyond happens all the
	// same, before anything is passed on.
	if do := x.f.request.do; (do == doReset || do == doStall) && x.r.ContentLength >= 0 && x.r.ContentLength <= x.f.request.at {
		_, _ = io.Copy(io.Discard, x.r.Body)
		return x.end(do)
	}
	answer, err := x.forward(body)
	if err != nil && x.f.request.do == doStall {
		return x.end(doStall)
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if x.f.answer != nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		x.say(x.f.answer)
		return nil
	}
	return x.give(answer)
}

// forward asks the server.
func (x *exchange) forward(body *passage) (*http.Response, error) {
	ctx, cancel := context.WithCancel(x.r.Context())
	body.stalled = cancel
	out := x.r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = x.p.upstream.Scheme, x.p.upstream.Host
	out.Host = x.r.Host // signatures cover it
	out.Header.Del("Connection")
	out.Body = io.NopCloser(body)
	if x.r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	if _, named := out.Header["User-Agent"]; !named {
		out.Header["User-Agent"] = nil
	}
	return x.p.transport.RoundTrip(out)
}

func (x *exchange) say(a *Answer) {
	for k, v := range a.Header {
		x.w.Header()[k] = v
	}
	x.p.noteStatus(x.n, a.Status)
	if a.Header.Get("Content-Length") == "" && x.r.Method != http.MethodHead {
		x.w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	x.w.WriteHeader(a.Status)
	_, _ = io.WriteString(x.w, a.Body) // the other side may have gone
}

// give hands the server's answer on.
func (x *exchange) give(answer *http.Response) error {
	do := x.f.response
	if do.at < 0 && do.do != pass {
		return x.end(do.do)
	}
	for k, v := range answer.Header {
		x.w.Header()[k] = v
	}
	x.w.Header().Del("Connection")
	if do.do == doShorten && answer.ContentLength > do.at {
		x.w.Header().Set("Content-Length", strconv.FormatInt(do.at, 10))
	}
	x.p.noteStatus(x.n, answer.StatusCode)
	x.w.WriteHeader(answer.StatusCode)
	if do.do == doReset || do.do == doStall || do.do == doClose {
		_ = http.NewResponseController(x.w).Flush()
	}
	body := &passage{r: answer.Body, flow: do, x: x}
	_, err := io.Copy(flushing{x.w}, body)
	if errors.Is(err, io.ErrUnexpectedEOF) || err == nil {
		return nil
	}
	return err
}

// end does what happens at the place of a fault, other than to the bytes.
func (x *exchange) end(do doing) error {
	switch do {
	case doStall:
		select {
		case <-x.r.Context().Done():
		case <-x.p.closed:
		}
	case doClose:
		x.drop()
	case doShorten:
		return io.EOF
	}
	return errFault
}

// drop ends the connection in an orderly way, which is not announced.
func (x *exchange) drop() {
	c := http.NewResponseController(x.w)
	_ = c.Flush()
	if conn, _, err := c.Hijack(); err == nil {
		_ = conn.Close()
	}
}

// A passage is a body that passes and what happens to it.
type passage struct {
	r io.Reader
	flow
	x       *exchange
	done    int64
	stalled func() // what to do first when nothing more passes; may be nil
}

func (p *passage) Read(b []byte) (int, error) {
	left := p.at - p.done
	switch p.do {
	case doReset, doStall, doClose, doShorten:
		if left <= 0 {
			if p.do == doStall && p.stalled != nil {
				p.stalled()
			}
			return 0, p.x.end(p.do)
		}
		b = b[:min(int64(len(b)), left)]
	}
	if p.rate > 0 {
		b = b[:min(int64(len(b)), max(1, p.rate/20))]
		select {
		case <-time.After(time.Duration(len(b)) * time.Second / time.Duration(p.rate)):
		case <-p.x.r.Context().Done():
			return 0, p.x.r.Context().Err()
		}
	}
	n, err := p.r.Read(b)
	if p.do == doFlip && left >= 0 && left < int64(n) {
		b[left] ^= 0x20
	}
	p.done += int64(n)
	return n, err
}

// flushing gives what it gets at once.
type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		err = http.NewResponseController(f.w).Flush()
	}
	return n, err
}
