package webdav

import (
	"context"
	"io"
	"net/http"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// Put stores a file. It is written beside its final name, and gets that only
// when the server is known to have all of it.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	const op = "webdav.put"
	if err := checkKey(key); err != nil {
		return plugin.Stored{}, err
	}
	name := s.prefix + key
	u := &upload{session: s.session(), name: name, temp: tempName(name), in: &stream.Reader{Ctx: ctx, R: r}}
	if err := u.run(ctx); err != nil {
		u.discard(ctx)
		u.keep()
		if u.in.Err != nil {
			return plugin.Stored{}, u.in.Err
		}
		return plugin.Stored{}, rest.WithOp(op, err)
	}
	u.keep()
	return plugin.Stored{Key: key, Size: u.held}, nil
}

// An upload is one Put.
type upload struct {
	*session
	name   string
	temp   string // the name under which it is written
	in     *stream.Reader
	size   int64  // that was sent
	held   int64  // that the server says it has; -1 if it does not say
	undo   func() // ends the undo of the temporary file
	begun  bool   // the temporary file may be there
	moving bool   // it may have its name
}

// headSize is how much is read before the server is asked anything. A file of
// no more is sent again when that fails, a larger one as long as no more than
// that was read.
const headSize = 1 << 20

func (u *upload) run(ctx context.Context) error {
	head, last, err := rest.NewPool(1, headSize).Read(ctx, u.in, 1)
	if err != nil {
		u.in.Err = shield.FirstError(u.in.Err, err)
		return err
	}
	if err := u.vacant(ctx); err != nil {
		return err
	}
	if err := u.makeFolders(ctx, u.temp); err != nil {
		return err
	}
	if err := u.arm(ctx); err != nil {
		return err
	}
	u.begun = true
	if last && !u.streams {
		err = u.whole(ctx, head)
	} else {
		err = u.pour(ctx, head)
	}
	if err == nil {
		err = u.in.Done() // an end that comes after the cancellation may be no end at all
	}
	if err == nil {
		err = u.check(ctx)
	}
	if err != nil {
		return err
	}
	return u.publish(ctx)
}

// vacant makes sure that nothing has the name.
func (u *upload) vacant(ctx context.Context) error {
	found, err := u.stat(ctx, u.name)
	if err == nil && found != nil {
		err = u.conflict()
	}
	return err
}

func (u *upload) conflict() error {
	return shield.Errorf(shield.Conflict, "", "%s: %s exists already", u.client.Place, u.name)
}

// put returns the request that writes the temporary file.
// https://www.rfc-editor.org/rfc/rfc4918#section-9.7
func (u *upload) put() *rest.Request {
	r := u.request("write "+u.temp, http.MethodPut, u.temp)
	r.Header.Set("Content-Type", "application/octet-stream")
	return r
}

// whole sends a file of known length in one request, again if need be.
func (u *upload) whole(ctx context.Context, b *rest.Block) error {
	r := u.put()
	r.Body, r.Length = func() io.Reader { return b.Reader(0) }, b.Size
	u.size = b.Size
	return u.send(ctx, r)
}

// send sends a request that writes the temporary file. It goes on for a while
// when ctx is done: broken off, the request might be carried out all the same,
// after the file was removed.
func (u *upload) send(ctx context.Context, r *rest.Request) error {
	late, cancel := rest.Grace(ctx)
	defer cancel()
	a, err := u.do(late, r)
	if err != nil {
		return err
	}
	u.begun = a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden
	return u.written(late, r, a)
}

// written returns nil if an answer to PUT is one of success.
func (u *upload) written(ctx context.Context, r *rest.Request, a *rest.Answer) error {
	switch a.Status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return nil
	case http.StatusLengthRequired, http.StatusNotImplemented:
		return shield.Errorf(shield.StoreFailed, "",
			"%s: %s: %s; the server, or a proxy before it, takes no upload whose length is not known from the beginning (Transfer-Encoding: chunked), and that of an archive never is",
			u.client.Place, r.Op, a.Words("", explain(a)))
	case http.StatusConflict, http.StatusNotFound:
		if err := u.checkBase(ctx); err != nil {
			return err
		}
	}
	return u.problem(r.Op, a)
}

// pour sends a file whose length nobody knows yet. Before that it writes an
// empty one: whether the server lets us is then known, and how it wants that
// proved, before there are bytes that cannot be sent again.
func (u *upload) pour(ctx context.Context, head *rest.Block) error {
	if err := u.send(ctx, u.put()); err != nil {
		return err
	}
	if err := u.check(ctx); err != nil {
		return err
	}
	body := &source{head: head, tail: u.in}
	for try := 0; ; try++ {
		err := u.pourOnce(ctx, body)
		u.size = body.size
		if err == nil {
			return nil
		}
		if err := u.in.Done(); err != nil {
			return err
		}
		if body.ended && answerOf(err) == nil && u.arrived(ctx) {
			return nil
		}
		if body.consumed || try >= u.client.Retries || !rest.Passing(err) {
			return err
		}
		if err := u.client.Pause(ctx, "write "+u.temp, try, answerOf(err), err); err != nil {
			return err
		}
	}
}

// pourOnce ends the request as it should be also if the input fails: one that
// was broken off might be begun, or ended, after the file was removed. Nobody
// gives that file its name then.
func (u *upload) pourOnce(ctx context.Context, body *source) error {
	ctx, cancel := rest.Grace(ctx)
	defer cancel()
	r := u.put()
	r.Body, r.Length = body.again, -1
	x, err := u.open(ctx, r, http.StatusOK, http.StatusCreated, http.StatusNoContent)
	if a := answerOf(err); a != nil {
		return &refused{u.written(ctx, r, a), a}
	}
	if err != nil {
		return err
	}
	return x.Close()
}

// arrived reports whether the server has all that was sent, though its answer
// was lost.
func (u *upload) arrived(ctx context.Context) bool {
	found, err := u.stat(ctx, u.temp)
	return err == nil && found != nil && found.size == u.size
}

// check compares what the server says it has with what was sent.
func (u *upload) check(ctx context.Context) error {
	found, err := u.stat(ctx, u.temp)
	switch {
	case err != nil:
		return err
	case found == nil:
		return shield.Errorf(shield.Corrupt, "", "%s: the server acknowledged %s, and does not have it", u.client.Place, u.temp)
	case found.size >= 0 && found.size != u.size:
		return shield.Errorf(shield.Corrupt, "", "%s: the server acknowledged %s and has %d bytes of it, not the %d that were sent", u.client.Place, u.temp, found.size, u.size)
	}
	return nil
}
