package server

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// A Content is an archive on its way from the daemon.
type Content struct {
	io.ReadCloser
	Size   int64
	Digest string // of all bytes: "blake3:<hex>"
}

// Content begins the download of an archive, as it lies in the store or, if
// opened, as the target gave it. A daemon that fails on the way breaks the
// connection, so that reading ends in an error.
func (c *Client) Content(ctx context.Context, archive string, opened bool) (*Content, error) {
	path := at("/v1/archives", archive, "content")
	if opened {
		path += "?opened=true"
	}
	resp, err := c.open(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	return &Content{&content{c, ctx, resp.Body}, resp.ContentLength, strings.Trim(resp.Header.Get("ETag"), `"`)}, nil
}

// content says in the words of the client why a download ended early.
type content struct {
	client *Client
	ctx    context.Context
	io.ReadCloser
}

func (r *content) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = r.client.unanswered(r.ctx, err)
	}
	return n, err
}

// open sends a request for a stream.
func (c *Client) open(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, shield.Errorf(shield.Invalid, "", "%w", err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	c.identify(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unanswered(ctx, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, problemOf(resp)
	}
	return resp, nil
}

// Pauses between attempts to go on with a stream that broke.
const (
	firstPause = 100 * time.Millisecond
	mostPause  = 10 * time.Second
)

// FollowEvents calls seen with each event from now on, until ctx ends or seen
// returns an error, which it returns. Over a daemon that restarts no event is
// lost; one that refuses is not asked again.
func (c *Client) FollowEvents(ctx context.Context, seen func(*shield.Event) error) error {
	newest, err := c.Events(ctx, url.Values{"limit": {"1"}})
	if err != nil {
		return err
	}
	last, wait := "0", firstPause
	for _, e := range newest {
		last = strconv.FormatInt(e.ID, 10)
	}
	for {
		resp, err := c.open(ctx, "/v1/events", http.Header{"Accept": {"text/event-stream"}, "Last-Event-Id": {last}})
		switch {
		case err == nil:
			err = readEvents(resp.Body, func(id, data string) error {
				e := new(shield.Event)
				if json.Unmarshal([]byte(data), e) != nil {
					return shield.Errorf(shield.Unavailable, "", "the daemon at %s sends something else than events", c.base)
				}
				last, wait = id, firstPause
				return seen(e)
			})
			resp.Body.Close()
			if err != nil {
				return err
			}
		case ctx.Err() != nil || shield.CodeOf(err) != shield.Unavailable:
			return err
		}
		if ctx.Err() != nil {
			return c.unanswered(ctx, ctx.Err())
		}
		pause(ctx, wait)
		wait = min(2*wait, mostPause)
	}
}

// readEvents reads server-sent events to the end of the stream, which may be at
// any place. What take returns as an error ends it.
func readEvents(r io.Reader, take func(id, data string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	id, data := "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && data != "":
			if err := take(id, data); err != nil {
				return err
			}
			data = ""
		case name == "id":
			id = value
		case name == "data":
			data += value
		}
	}
	return nil
}
