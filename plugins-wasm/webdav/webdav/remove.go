package webdav

import (
	"context"
	"errors"
	"net/http"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Delete removes a file, and what unfinished Puts of it have left. Folders
// stay: a server removes one with all that is in it, also what was put there
// a moment ago.
func (s *store) Delete(ctx context.Context, key string) error {
	const op = "webdav.purge"
	if err := checkKey(key); err != nil {
		return err
	}
	return rest.WithOp(op, s.session().purge(ctx, s.prefix+key))
}

func (s *session) purge(ctx context.Context, name string) error {
	found, err := s.stat(ctx, name)
	if err != nil {
		return err
	}
	if found != nil && !found.folder {
		if err := s.erase(ctx, name); err != nil {
			return err
		}
	}
	folder, file := split(name)
	return s.children(ctx, folder, func(child string, found resource) error {
		if found.folder || !isTempOf(child, file) {
			return nil
		}
		return s.erase(ctx, folder+child)
	})
}

// erase removes a file and makes sure that it is gone.
// https://www.rfc-editor.org/rfc/rfc4918#section-9.6
func (s *session) erase(ctx context.Context, name string) error {
	r := s.request("delete "+name, http.MethodDelete, name)
	a, err := s.do(ctx, r)
	if err != nil {
		return err
	}
	switch a.Status {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
	default:
		if err := s.problem(r.Op, a); !errors.Is(err, shield.NotFound) {
			return err
		}
		return nil
	}
	left, err := s.stat(ctx, name)
	if err == nil && left != nil {
		return shield.Errorf(shield.StoreFailed, "", "%s: %s: %w", s.client.Place, name, errStays)
	}
	return err
}

var errStays = errors.New("the server acknowledged that it is deleted, and still has it")
