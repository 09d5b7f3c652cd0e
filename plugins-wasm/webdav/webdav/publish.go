package webdav

import (
	"context"
	"errors"
	"net/http"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// publish gives the temporary file its name, unless something has it, and
// looks whether the server has it then.
func (u *upload) publish(ctx context.Context) error {
	if err := u.rename(ctx); err != nil {
		return err
	}
	found, err := u.stat(ctx, u.name)
	switch {
	case err != nil:
		return err
	case found == nil:
		return shield.Errorf(shield.Corrupt, "", "%s: the server acknowledged %s, and does not have it", u.client.Place, u.name)
	case found.size >= 0 && found.size != u.size:
		return shield.Errorf(shield.Corrupt, "", "%s: %s has %d bytes, not the %d that were sent", u.client.Place, u.name, found.size, u.size)
	}
	u.held = found.size
	return nil
}

// rename tries until the answer is one of success, or the file has its name
// though the answer was another, or was lost. It goes on for a while when ctx
// is done: broken off, the request might be carried out all the same, after
// everything else was cleaned up.
func (u *upload) rename(ctx context.Context) error {
	late, cancel := rest.Grace(ctx)
	defer cancel()
	u.moving = true
	for try := 0; ; try++ {
		a, err := u.move(late)
		if err == nil && isMoved(a) {
			return nil
		}
		if moved, _ := u.moved(late); moved {
			return nil
		}
		switch {
		case err != nil:
		case a.Status == http.StatusPreconditionFailed:
			return u.conflict()
		default:
			err = u.unmoved(a)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if try >= u.client.Retries || !rest.Passing(err) {
			return err
		}
		if err := u.client.Pause(ctx, "rename "+u.temp, try, a, err); err != nil {
			return err
		}
	}
}

// unmoved returns what an answer that refuses a new name means.
func (u *upload) unmoved(a *rest.Answer) error {
	err := u.problem("rename "+u.temp, a)
	var own *shield.Error
	if a.Status == http.StatusBadGateway && errors.As(err, &own) {
		own.Message += "; if a proxy ends TLS before the server, that takes the new name for one of another server: " +
			"have the proxy, or Apache by \"RequestHeader edit Destination ^https: http: early\", rewrite the header Destination"
	}
	return err
}

func isMoved(a *rest.Answer) bool {
	return a.Status == http.StatusCreated || a.Status == http.StatusNoContent || a.Status == http.StatusOK
}

// move sends the request. A server behind a proxy that ends TLS may take the
// URL of the new name for that of another server, and most of these take its
// path for what it is.
// https://www.rfc-editor.org/rfc/rfc4918#section-9.9
func (u *upload) move(ctx context.Context) (*rest.Answer, error) {
	r := u.request("rename "+u.temp, "MOVE", u.temp)
	to := u.url(u.name)
	r.Once = true
	r.Header.Set("Overwrite", "F")
	r.Header.Set("Destination", to.String())
	a, err := u.do(ctx, r)
	if err != nil || a.Status != http.StatusBadGateway && a.Status != http.StatusBadRequest {
		return a, err
	}
	r.Header.Set("Destination", to.EscapedPath())
	if b, err := u.do(ctx, r); err == nil && (isMoved(b) || b.Status == http.StatusPreconditionFailed) {
		return b, nil
	}
	return a, nil
}

// moved reports whether the file has its name: only this upload can have given
// it, since nobody else knows the temporary name.
func (u *upload) moved(ctx context.Context) (bool, error) {
	if left, err := u.stat(ctx, u.temp); err != nil || left != nil {
		return false, err
	}
	found, err := u.stat(ctx, u.name)
	return err == nil && found != nil && !found.folder && (found.size < 0 || found.size == u.size), err
}
