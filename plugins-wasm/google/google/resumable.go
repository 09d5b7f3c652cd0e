package google

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// resumable stores an object by a resumable upload: chunks, one after the
// other, each sent again from where the service has it.
// https://cloud.google.com/storage/docs/performing-resumable-uploads
func (u *upload) resumable(ctx context.Context, r io.Reader, pool *rest.Pool, first *rest.Block) (*object, error) {
	if err := u.begin(ctx); err != nil {
		return nil, err
	}
	// One hand keeps the chunks in order. The last chunk is told by the end of
	// the stream, so one is read ahead.
	crew, crewCtx := rest.NewCrew(ctx, 1)
	held, at, last := first, int64(0), false
	for n := 1; !last; n++ {
		var next *rest.Block
		var err error
		next, last, err = pool.Read(crewCtx, r, slabsOf(n))
		if err != nil {
			if crewCtx.Err() == nil {
				u.inputErr = err
			}
			crew.Fail(err)
			break
		}
		if next.Size == 0 {
			next.Release()
			break
		}
		u.add(next)
		size := held.Size // it is released when it was sent
		u.send(crew, held, at)
		held, at = next, at+size
	}
	if err := crew.Wait(); err != nil {
		return nil, err
	}
	return u.finish(ctx, held, at)
}

// send sends a chunk that is not the last.
func (u *upload) send(crew *rest.Crew, b *rest.Block, at int64) {
	crew.Go(func(ctx context.Context) error {
		defer b.Release()
		_, err := u.chunk(ctx, &chunk{b: b, at: at, total: -1})
		return err
	}, b.Release)
}

// finish sends the last chunk and returns the object.
func (u *upload) finish(ctx context.Context, b *rest.Block, at int64) (*object, error) {
	defer b.Release()
	u.sent = true
	ctx, cancel := rest.Grace(ctx)
	defer cancel()
	o, err := u.chunk(ctx, &chunk{b: b, at: at, total: u.size})
	if err != nil {
		return nil, err
	}
	if o == nil {
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the service wants more than the %d bytes that there are", u.client.Place, u.name, u.size)
	}
	return o, nil
}

// begin opens the session.
func (u *upload) begin(ctx context.Context) error {
	text, err := json.Marshal(u.resource())
	if err != nil {
		return err
	}
	c := &call{
		op: "begin the upload of " + u.name, method: http.MethodPost, upload: true,
		query: url.Values{"uploadType": {"resumable"}, "ifGenerationMatch": {onlyNew}},
		header: http.Header{
			"Content-Type": {"application/json; charset=UTF-8"}, "X-Upload-Content-Type": {"application/octet-stream"},
		},
		body: func() io.Reader { return bytes.NewReader(text) }, length: int64(len(text)),
	}
	a, err := u.do(ctx, c)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK && a.Status != http.StatusCreated {
		_, err := u.taken(ctx, c.op, a)
		return err
	}
	// The session is reached by the endpoint that we know, whatever name the
	// service has for it.
	there, err := url.Parse(a.Header.Get("Location"))
	here, _ := url.Parse(u.endpoint)
	if err != nil || there.RawQuery == "" {
		return shield.Errorf(shield.StoreFailed, "", "%s: %s: the answer does not say where the bytes go", u.client.Place, c.op)
	}
	there.Scheme, there.Host, there.User = here.Scheme, here.Host, nil
	u.session = there
	u.keep, err = u.client.Undo(ctx, u.cancellation())
	return err
}

// cancellation is the request that ends a session and drops its bytes.
// The service answers with its own status 499.
// https://cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
func (u *upload) cancellation() *rest.Request {
	return &rest.Request{Op: "cancel the upload of " + u.name, Method: http.MethodDelete, URL: u.session}
}

// cancel ends the session, if there is one.
func (u *upload) cancel(ctx context.Context) error {
	if u.session == nil {
		return nil
	}
	r := u.cancellation()
	a, err := u.client.Do(ctx, r)
	if err != nil {
		return err
	}
	if a.Status >= 500 {
		return u.problem(ctx, r.Op, a)
	}
	u.forget() // canceled, or complete, or not known any more
	return nil
}

func (u *upload) forget() {
	u.session = nil
	if u.keep != nil {
		u.keep()
		u.keep = nil
	}
}

// A chunk is a piece of the object.
type chunk struct {
	b     *rest.Block
	at    int64 // in the object
	total int64 // the size of the object, -1 while it is not known
	done  int64 // how much of the chunk the service has
}

// statusResume is 308, as the service means it: go on.
const statusResume = http.StatusPermanentRedirect

// chunk sends a chunk until the service has all of it. It returns the object
// if that is complete.
func (u *upload) chunk(ctx context.Context, c *chunk) (*object, error) {
	op := fmt.Sprintf("write the bytes of %s from %d on", u.name, c.at)
	for tries := 0; ; {
		before := c.done
		a, err := u.put(ctx, op, c)
		o, more, problem := u.progress(ctx, op, c, a, err)
		if problem == nil && more && c.done == before {
			problem = shield.Errorf(shield.Unavailable, "", "%s: %s: the service took nothing", u.client.Place, op)
		}
		// After a problem the service is asked how far it is.
		for ; problem != nil; tries++ {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if !rest.Passing(problem) || tries >= u.client.Retries {
				return nil, problem
			}
			if err := u.client.Pause(ctx, op, tries, a, problem); err != nil {
				return nil, err
			}
			a, err = u.ask(ctx, op, c)
			o, more, problem = u.progress(ctx, op, c, a, err)
		}
		if !more {
			return o, nil
		}
	}
}

// put sends what the service lacks of a chunk.
func (u *upload) put(ctx context.Context, op string, c *chunk) (*rest.Answer, error) {
	total := "*"
	if c.total >= 0 {
		total = strconv.FormatInt(c.total, 10)
	}
	from := c.done
	r := &rest.Request{
		Op: op, Method: http.MethodPut, URL: u.session, Once: true, Length: c.b.Size - from,
		Header: http.Header{"Content-Range": {fmt.Sprintf("bytes %d-%d/%s", c.at+from, c.at+c.b.Size-1, total)}},
		Body:   func() io.Reader { return c.b.Reader(from) },
	}
	return u.client.Do(ctx, r)
}

// ask asks how much of the object the service has.
// https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check
func (u *upload) ask(ctx context.Context, op string, c *chunk) (*rest.Answer, error) {
	total := "*"
	if c.total >= 0 {
		total = strconv.FormatInt(c.total, 10)
	}
	return u.client.Do(ctx, &rest.Request{
		Op: op, Method: http.MethodPut, URL: u.session, Once: true, Header: http.Header{"Content-Range": {"bytes */" + total}},
	})
}

// progress takes note of what an answer says: the object is complete, the
// chunk is, more of it is wanted, or there is a problem.
func (u *upload) progress(ctx context.Context, op string, c *chunk, a *rest.Answer, err error) (o *object, more bool, problem error) {
	switch {
	case err != nil:
		return nil, false, err
	case a.Status == http.StatusOK || a.Status == http.StatusCreated:
		o, err := u.parseObject(op, a.Body)
		return o, false, err
	case a.Status == statusResume:
		has, err := parseRange(a.Header.Get("Range"))
		if err != nil || has < c.at+c.done || has > c.at+c.b.Size {
			return nil, false, shield.Errorf(shield.StoreFailed, "", "%s: %s: the service has the bytes %q, which is not where we are", u.client.Place, op, a.Header.Get("Range"))
		}
		c.done = has - c.at
		return nil, c.done < c.b.Size, nil
	case a.Status == http.StatusNotFound || a.Status == http.StatusGone:
		if c.total >= 0 {
			if o, err := u.properties(ctx, u.name); err == nil && o != nil && o.Metadata[tokenKey] == u.token {
				return o, false, nil
			}
		}
		return nil, false, shield.Errorf(shield.StoreFailed, "", "%s: %s: the service has forgotten the upload", u.client.Place, op)
	}
	o, err = u.taken(ctx, op, a)
	return o, false, err
}

// parseRange returns how many bytes the service has, by the header Range of
// its answer: none if there is no header.
func parseRange(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	end, ok := strings.CutPrefix(text, "bytes=0-")
	if !ok {
		return 0, fmt.Errorf("%q is not like bytes=0-262143", text)
	}
	n, err := strconv.ParseInt(end, 10, 63)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not like bytes=0-262143", text)
	}
	return n + 1, nil
}
