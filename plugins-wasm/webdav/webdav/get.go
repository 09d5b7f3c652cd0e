package webdav

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Get opens a file. Where the server marks its versions, a download that
// breaks off goes on where it was.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	const op = "webdav.get"
	if err := checkKey(key); err != nil {
		return nil, err
	}
	d, err := s.session().get(ctx, op, s.prefix+key)
	if err != nil {
		return nil, rest.WithOp(op, err)
	}
	if d == nil {
		return nil, shield.Errorf(shield.NotFound, op, "key %q is not in %s", key, s.client.Place)
	}
	return d, nil
}

// get returns nil if there is no such file. Its size is asked for before: what
// the answer to GET says of it may be wrong as well.
func (s *session) get(ctx context.Context, op, name string) (*rest.Download, error) {
	found, err := s.stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if found == nil || found.folder {
		return nil, s.checkBase(ctx)
	}
	words := "read " + name
	x, err := s.read(ctx, words, name)
	if err != nil {
		return nil, err
	}
	size := found.size
	if size < 0 {
		size = x.Length
	}
	if size < 0 || x.Length >= 0 && x.Length != size {
		_ = x.Close()
		if size < 0 {
			return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the server does not say how large it is", s.client.Place, words)
		}
		return nil, shield.Errorf(shield.Corrupt, "", "%s: %s: the answer has %d bytes, and the file %d", s.client.Place, words, x.Length, size)
	}
	client := *s.client
	tag := x.Header.Get("ETag")
	if tag == "" {
		client.Retries = 0 // the rest might be that of another version
	}
	return client.NewDownload(ctx, op, words, x, size, func(ctx context.Context, from int64) (*rest.Exchange, error) {
		return s.readFrom(ctx, words, name, from, size, tag)
	}), nil
}

// read opens a file at its beginning, trying again what has failed in passing.
func (s *session) read(ctx context.Context, words, name string) (*rest.Exchange, error) {
	for try := 0; ; try++ {
		x, err := s.open(ctx, s.request(words, http.MethodGet, name), http.StatusOK)
		if err == nil {
			return x, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if try >= s.client.Retries || !rest.Passing(err) {
			return nil, err
		}
		if err := s.client.Pause(ctx, words, try, answerOf(err), err); err != nil {
			return nil, err
		}
	}
}

// readFrom opens what follows from an offset on, of the version that has the
// tag.
func (s *session) readFrom(ctx context.Context, words, name string, from, size int64, tag string) (*rest.Exchange, error) {
	r := s.request(words, http.MethodGet, name)
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	if !strings.HasPrefix(tag, "W/") {
		r.Header.Set("If-Match", tag) // others never match
	}
	x, err := s.open(ctx, r, http.StatusPartialContent, http.StatusOK)
	if err != nil {
		return nil, err
	}
	problem := ""
	switch now := x.Header.Get("ETag"); {
	case now != "" && !sameTag(now, tag):
		problem = "the file has changed meanwhile"
	case x.Status == http.StatusOK && from > 0:
		problem = fmt.Sprintf("the bytes from %d on were asked for and all were given", from)
	case x.Status == http.StatusPartialContent && x.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, size-1, size):
		problem = fmt.Sprintf("the bytes from %d on of %d were asked for, and %q was given", from, size, x.Header.Get("Content-Range"))
	}
	if problem == "" {
		return x, nil
	}
	_ = x.Close()
	return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: %s", s.client.Place, words, problem)
}

// sameTag compares two tags, weak or not: a file that has been written a
// moment ago has a weak one with some servers.
func sameTag(a, b string) bool {
	return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}
