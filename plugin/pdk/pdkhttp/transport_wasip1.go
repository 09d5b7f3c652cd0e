package pdkhttp

import (
	"fmt"
	"io"
	"net/http"

	"github.com/shieldhq/shield/plugin/pdk"
)

// A transport has the host make the requests: TLS and all of HTTP run at its
// speed, and each URL has to be granted by a capability "http".
type transport struct{ Options }

func newTransport(o *Options) (http.RoundTripper, error) { return &transport{*o}, nil }

func undo(o *Options, r *http.Request) (io.Closer, error) { return pdk.Undo(o.request(r, 0)) }

func (o *Options) request(r *http.Request, length int64) *pdk.HTTPRequest {
	return &pdk.HTTPRequest{
		Method: r.Method, URL: r.URL.String(), Header: r.Header, Length: length, Body: r.Body,
		TLS: o.TLS, Proxy: o.Proxy, Idle: o.Idle,
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	length := r.ContentLength
	if r.Body == nil || r.Body == http.NoBody {
		length = 0
	} else if length == 0 {
		length = -1 // a body of unknown length
	}
	x, err := pdk.Request(r.Context(), t.request(r, length))
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", x.Status, http.StatusText(x.Status)), StatusCode: x.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.Header, Body: x.Body, ContentLength: x.Length, Request: r,
	}, nil
}
