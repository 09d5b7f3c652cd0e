package pdkhttp

import (
	"fmt"
	"net/http"

	"github.com/shieldhq/shield/plugin/pdk"
)

// Transport returns a transport that client libraries can use. The host makes
// the requests: TLS and all of HTTP run at its speed, and each URL has to be
// granted by a capability "http".
func Transport() http.RoundTripper { return transport{} }

type transport struct{}

// RoundTrip implements http.RoundTripper.
func (transport) RoundTrip(r *http.Request) (*http.Response, error) {
	length := r.ContentLength
	if r.Body == nil || r.Body == http.NoBody {
		length = 0
	} else if length == 0 {
		length = -1 // a body of unknown length
	}
	x, err := pdk.Request(r.Context(), &pdk.HTTPRequest{Method: r.Method, URL: r.URL.String(), Header: r.Header, Length: length, Body: r.Body})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", x.Status, http.StatusText(x.Status)), StatusCode: x.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.Header, Body: x.Body, ContentLength: x.Length, Request: r,
	}, nil
}
