package wasmhost

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/shieldhq/shield/internal/calling"
)

// undoing is a handle on a request that takes something back, like an upload
// that was begun: no code of a guest that is stopped runs any more.
type undoing struct {
	i *instance
	t *http.Transport
	r *http.Request
}

var _ handle = (*undoing)(nil)

func (i *instance) openUndo(d *httpDescriptor, t *http.Transport) (handle, error) {
	if d.Length != 0 {
		return nil, i.errorf(errInvalid, "a request that undoes something has no body")
	}
	r, err := d.request(context.Background(), i, nil)
	if err != nil {
		return nil, err
	}
	return &undoing{i, t, r}, nil
}

// undoTime is how long an undoing request may take.
const undoTime = 30 * time.Second

// send is called once the guest has ended.
func (u *undoing) send() {
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	answer, err := u.t.RoundTrip(u.r.WithContext(ctx))
	if err != nil {
		u.note(err.Error())
		return
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, requestLimit)) // lets the connection be used again
	if answer.StatusCode >= 400 && answer.StatusCode != http.StatusNotFound {
		u.note(answer.Status)
	}
}

func (u *undoing) note(why string) {
	text := "could not clean up by " + u.r.Method + " " + shownURL(u.r.URL) + ": " + why
	_, _ = io.WriteString(u.i.diag, calling.Cut(calling.Clean(text), 1000)+"\n")
}

func (u *undoing) peek() ([]byte, error)         { return nil, errBadHandle }
func (u *undoing) advance(int)                   {}
func (u *undoing) write([]byte) (int, error)     { return 0, errBadHandle }
func (u *undoing) shut() error                   { return errBadHandle }
func (u *undoing) stat() (map[string]any, error) { return map[string]any{}, nil }
func (u *undoing) close()                        {}
