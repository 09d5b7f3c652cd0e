// Package pdkhttp makes HTTP requests for Go plugins. It is apart from
// package pdk, since net/http makes a module larger by a third and slower to
// compile.
package pdkhttp

import "net/http"

// Client returns a client that follows no redirects: what one leads to has
// to be granted, too, and asked for by itself.
func Client() *http.Client {
	return &http.Client{
		Transport:     Transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
