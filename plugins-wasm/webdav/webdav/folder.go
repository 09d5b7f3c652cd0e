package webdav

import (
	"context"
	"net/http"
	"strings"

	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// makeFolders makes the folder of a file, and those around it, as far as they
// are not there. Others may do so at the same time.
func (s *session) makeFolders(ctx context.Context, name string) error {
	folder, _ := split(name)
	if folder == "" {
		return nil
	}
	return s.makeFolder(ctx, folder)
}

// makeFolder tries the innermost folder first: most of the time it is there.
// https://www.rfc-editor.org/rfc/rfc4918#section-9.3
func (s *session) makeFolder(ctx context.Context, folder string) error {
	r := s.request("make the folder "+folder, "MKCOL", folder)
	a, err := s.do(ctx, r)
	if err != nil {
		return err
	}
	if a.Status == http.StatusConflict || a.Status == http.StatusNotFound {
		if a, err = s.makeOuter(ctx, folder, r, a); err != nil {
			return err
		}
	}
	if a.Status == http.StatusCreated || a.Status == http.StatusMethodNotAllowed {
		return nil // the latter says that there is one
	}
	if found, err := s.stat(ctx, folder); err == nil && found != nil && found.folder {
		return nil
	}
	return s.problem(r.Op, a)
}

// makeOuter makes the folder around one, and then sends the request for that
// again.
func (s *session) makeOuter(ctx context.Context, folder string, r *rest.Request, a *rest.Answer) (*rest.Answer, error) {
	outer, _ := split(strings.TrimSuffix(folder, "/"))
	if outer == "" {
		return a, s.checkBase(ctx)
	}
	if err := s.makeFolder(ctx, outer); err != nil {
		return nil, err
	}
	return s.do(ctx, r)
}
