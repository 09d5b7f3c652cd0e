package pdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// An HTTPRequest is what Request asks of the host. Most plugins use
// pdkhttp.Client instead.
type HTTPRequest struct {
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header,omitempty"`
	Length int64               `json:"length"` // of the body; -1 if unknown
	Body   io.ReadCloser       `json:"-"`
	TLS    *TLSConfig          `json:"-"`
	// Proxy is the URL of one to connect by: http, https or socks5. Its
	// address has to be granted as a capability "tcp".
	Proxy string `json:"proxy,omitempty"`
	// Idle is how long no byte may move while one is waited for; 0 is for
	// ever.
	Idle time.Duration `json:"-"`
}

// An HTTPResponse is the answer. Its body has to be closed.
type HTTPResponse struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header"`
	Length int64               `json:"length"` // of the body; -1 if unknown
	Body   io.ReadCloser       `json:"-"`
}

// open opens the request. A body that lies in memory is sent from there, if the
// host can do that.
func (r *HTTPRequest) open(undo bool, body []byte) (int32, error) {
	d := httpDescriptor{HTTPRequest: r, TLSConfig: r.TLS, IdleMS: r.Idle.Milliseconds(), Undo: undo}
	if body != nil {
		d.Memory = uintptr(unsafe.Pointer(unsafe.SliceData(body)))
	}
	return openHandle(struct {
		HTTP *httpDescriptor `json:"http"`
	}{&d})
}

// An httpDescriptor is what the host is told.
type httpDescriptor struct {
	*HTTPRequest
	*TLSConfig
	IdleMS int64   `json:"idle_ms"`
	Undo   bool    `json:"undo"`
	Memory uintptr `json:"memory,omitempty"`
}

// Undo has the host send a request if the plugin ends, or is stopped, before
// the returned Closer is closed: no code of a plugin that is stopped runs any
// more. The request has no body, and nobody looks at its answer.
func Undo(r *HTTPRequest) (io.Closer, error) {
	h, err := r.open(true, nil)
	if err != nil {
		return nil, err
	}
	return newStream(h), nil
}

// Request sends an HTTP request and returns when the header of the answer is
// there.
func Request(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error) {
	memory := inMemory(r)
	h, err := r.open(false, memory)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	s := newStream(h)
	unwatch := context.AfterFunc(ctx, func() { _ = s.Close() })
	switch {
	case memory != nil && takesNothing(h):
		defer runtime.KeepAlive(memory)
		defer func() { _ = r.Body.Close() }()
	case r.Length != 0:
		go sendBody(s, r.Body)
	case r.Body != nil:
		_ = r.Body.Close()
	}
	await(h, pollStat, s.closed)
	answer, err := readAnswer(ctx, s)
	if err != nil {
		unwatch()
		_ = s.Close()
		return nil, err
	}
	answer.Body = &responseBody{s, unwatch}
	return answer, nil
}

// inPlaceSize is from where on a body is sent from where it lies.
const inPlaceSize = 16 << 10

// The types of what io.NopCloser returns; net/http looks into them, too.
var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(struct {
		io.Reader
		io.WriterTo
	}{}))
)

// inMemory returns the body if it is a bytes.Reader, as client libraries make
// of what they send: the host can take that without a copy through the guest.
func inMemory(r *HTTPRequest) []byte {
	if r.Body == nil || r.Length < inPlaceSize {
		return nil
	}
	var body any = r.Body
	if t := reflect.TypeOf(body); t == nopCloser || t == nopCloserWriterTo {
		body = reflect.ValueOf(body).Field(0).Interface()
	}
	b, ok := body.(*bytes.Reader)
	if !ok || int64(b.Len()) != r.Length {
		return nil
	}
	var seen glance
	_, _ = b.WriteTo(&seen)
	return seen.p
}

// A glance is a writer that sees what it could write, and takes nothing.
type glance struct{ p []byte }

var errGlance = errors.New("takes nothing")

// Write implements io.Writer.
func (g *glance) Write(p []byte) (int, error) {
	g.p = p
	return 0, errGlance
}

// takesNothing reports whether the host has the body already. One that knows
// nothing of bodies in memory wants it to be written.
func takesNothing(h int32) bool {
	return hostWrite(h, nil, 0, nonblock) == -int32(syscall.EBADF)
}

// sendBody breaks the request off if the body fails: the server must not take
// what it got for the whole.
func sendBody(s *hostStream, body io.ReadCloser) {
	_, err := Copy(s, body)
	_ = body.Close()
	if err != nil && !isEarlyAnswer(s) {
		_ = s.Close()
		return
	}
	_ = s.CloseWrite() // how that ends, the answer tells
}

// isEarlyAnswer reports whether the server has answered without waiting for
// the whole body.
func isEarlyAnswer(s *hostStream) bool {
	_, err := s.room()
	return err != nil
}

func readAnswer(ctx context.Context, s *hostStream) (*HTTPResponse, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	text, err := statText(s.h)
	if err != nil {
		return nil, err
	}
	var answer HTTPResponse
	return &answer, json.Unmarshal([]byte(text), &answer)
}

// A responseBody ends the request when it is closed.
type responseBody struct {
	*hostStream
	unwatch func() bool
}

// Close implements io.Closer.
func (b *responseBody) Close() error {
	b.unwatch()
	return b.hostStream.Close()
}
