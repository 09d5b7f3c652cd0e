package pdk

import (
	"context"
	"encoding/json"
	"io"
)

// An HTTPRequest is what Request asks of the host. Most plugins use
// pdkhttp.Client instead.
type HTTPRequest struct {
	Method string              `json:"method"`
	URL    string              `json:"url"`
	Header map[string][]string `json:"header,omitempty"`
	Length int64               `json:"length"` // of the body; -1 if unknown
	Body   io.ReadCloser       `json:"-"`
}

// An HTTPResponse is the answer. Its body has to be closed.
type HTTPResponse struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header"`
	Length int64               `json:"length"` // of the body; -1 if unknown
	Body   io.ReadCloser       `json:"-"`
}

// Request sends an HTTP request and returns when the header of the answer is
// there.
func Request(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error) {
	h, err := openHandle(map[string]any{"http": r})
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
