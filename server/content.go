package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

func (s *Server) mountContent() {
	raw(s, operation{
		method: "GET", path: "/v1/archives/{ref}/content", id: "getContent", tag: "Archives", role: shield.RoleOperator, ranged: true,
		summary: "Download an archive, as it lies in the store or opened",
		params:  []param{{name: "opened", about: "Whether the raw dump is wanted rather than the sealed blob", typ: huma.TypeBoolean}},
		fails:   []shield.Code{shield.Conflict, shield.StoreFailed, shield.Unavailable, shield.TimedOut},
	}, "application/octet-stream", s.serveContent)
}

// serveContent streams an archive. An error on the way breaks the connection,
// so that no client takes a part for the whole.
func (s *Server) serveContent(ctx context.Context, c *call) error {
	opened := c.query.flag("opened")
	if c.query.err != nil {
		return c.query.err
	}
	sealed := opened == nil || !*opened
	a, r, err := s.scheduler.Open(ctx, c.ref(), sealed)
	if err != nil {
		return err
	}
	defer r.Close()
	size, digest, name := a.RawSize, a.RawDigest, a.UUID+".dump"
	if sealed {
		size, digest, name = a.StoredSize, a.StoredDigest, blobName(a)
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	h.Set("ETag", strconv.Quote(digest))
	p, status := portion{length: size, toEnd: true}, http.StatusOK
	if sealed {
		h.Set("Accept-Ranges", "bytes")
		if first, last, ok := rangeOf(c.req.Header, size, strconv.Quote(digest)); ok {
			p, status = portion{first, last - first + 1, last == size-1}, http.StatusPartialContent
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
		}
	}
	h.Set("Content-Length", strconv.FormatInt(p.length, 10))
	w := &begun{ResponseWriter: c.w, status: status}
	err = send(w, r, p)
	if err != nil && w.status != 0 { // nothing went out yet: the client can be told
		for _, name := range []string{"Content-Disposition", "Content-Length", "Content-Range", "Accept-Ranges", "ETag"} {
			h.Del(name)
		}
		return err
	}
	if err != nil {
		s.opts.Log.Error("a download ended early", "archive", a.UUID, "err", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// begun writes its status with the first bytes, and forgets it then.
type begun struct {
	http.ResponseWriter
	status int
}

func (b *begun) Write(p []byte) (int, error) {
	if b.status != 0 && len(p) > 0 {
		b.WriteHeader(b.status)
		b.status = 0
	}
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// blobName is what to call a blob: what opens it again can be seen from it.
func blobName(a *shield.Archive) string {
	name := a.UUID + ".zst"
	if a.Compression == "raw" {
		name = a.UUID + ".dump"
	}
	if a.Encrypted {
		name += ".age"
	}
	return name
}

// rangeOf returns the one range that is asked for. All other requests are for
// the whole, which HTTP allows.
func rangeOf(h http.Header, size int64, etag string) (first, last int64, ok bool) {
	spec, is := strings.CutPrefix(h.Get("Range"), "bytes=")
	if condition := h.Get("If-Range"); !is || condition != "" && condition != etag {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(spec, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if err != nil || first < 0 || first >= size {
		return 0, 0, false
	}
	last = size - 1
	if to != "" {
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n < first {
			return 0, 0, false
		}
		last = min(n, last)
	}
	return first, last, true
}

// A portion is what of a stream is wanted.
type portion struct {
	skip, length int64
	toEnd        bool // it ends where the stream does
}

// send sends a portion of r. Its last bytes go out only when r has ended
// well, if it ends there.
func send(w http.ResponseWriter, r io.Reader, p portion) error {
	if _, err := io.CopyN(io.Discard, r, p.skip); err != nil {
		return err
	}
	const chunk = 256 << 10
	ready, next := make([]byte, 0, chunk), make([]byte, chunk)
	for left := p.length; left > 0; {
		next = next[:min(chunk, left)]
		if _, err := io.ReadFull(r, next); err != nil {
			return fmt.Errorf("%d bytes of %d are missing: %w", left, p.length, err)
		}
		left -= int64(len(next))
		if len(ready) > 0 {
			if _, err := w.Write(ready); err != nil {
				return err
			}
		}
		ready, next = next, ready[:cap(ready)]
	}
	if p.toEnd {
		if n, err := io.ReadFull(r, make([]byte, 1)); n > 0 || err != io.EOF {
			return fmt.Errorf("the end is not where it should be: %w", err)
		}
	}
	_, err := w.Write(ready)
	return err
}
