//go:build !wasip1

package pdkhttp

import "net/http"

// Transport returns a transport that client libraries can use.
func Transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	return t
}
