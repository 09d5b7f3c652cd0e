package server

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// pageSize is how many the client asks for at once.
const pageSize = "500"

// list returns what a list has that the query wants: a page at a time, so that
// no answer is large, unless the query has a limit.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]*T, error) {
	q := maps.Clone(query)
	limited := q.Get("limit") != ""
	if !limited {
		if q == nil {
			q = url.Values{}
		}
		q.Set("limit", pageSize)
	}
	all := []*T{}
	for next := path + "?" + q.Encode(); next != ""; {
		var page []*T
		h, err := c.roundTrip(ctx, c.http, http.MethodGet, next, "", nil, &page)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next = nextOf(h); limited || !strings.HasPrefix(next, path+"?") { // what leads elsewhere is not followed
			next = ""
		}
	}
	return all, nil
}

// nextOf returns the next page of a list, "" for the last.
func nextOf(h http.Header) string {
	target, rel, _ := strings.Cut(h.Get("Link"), ">")
	if !strings.Contains(rel, `rel="next"`) {
		return ""
	}
	return strings.TrimPrefix(target, "<")
}
