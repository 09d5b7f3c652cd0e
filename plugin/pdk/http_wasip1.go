package pdk

import (
	"context"
	"encoding/json"
	"io"
	"time"
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

func (r *HTTPRequest) open(undo bool) (int32, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	d := map[string]any{"idle_ms": r.Idle.Milliseconds(), "undo": undo}
	if err := json.Unmarshal(b, &d); err != nil {
		return 0, err
	}
	if d, err = withTLS(d, r.TLS); err != nil {
		return 0, err
	}
	return openHandle(map[string]any{"http": d})
}

// Undo has the host send a request if the plugin ends, or is stopped, before
// the returned Closer is closed: no code of a plugin that is stopped runs any
// more. The request has no body, and nobody looks at its answer.
func Undo(r *HTTPRequest) (io.Closer, error) {
	h, err := r.open(true)
	if err != nil {
		return nil, err
	}
	return newStream(h), nil
}

// Request sends an HTTP request and returns when the header of the answer is
// there.
func Request(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error) {
	h, err := r.open(false)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	s := newStream(h)
	unwatch := context.AfterFunc(ctx, func() { _ = s.Close() })
	if r.Length != 0 {
		go sendBody(s, r.Body)
	} else if r.Body != nil {
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
