package webdav

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Test lists, writes, reads and deletes a small file, as an archive would be,
// and looks how much room there is.
func (s *store) Test(ctx context.Context) error {
	const op = "webdav.test"
	if err := s.session().checkBase(ctx); err != nil {
		return rest.WithOp(op, err)
	}
	streaming := *s
	streaming.streams = true
	needs := rest.Needs{
		List:   "permission to read the folder's properties (PROPFIND)",
		Write:  "permission to make files and folders and to rename files (MKCOL, PUT, MOVE)",
		Read:   "permission to read files (GET)",
		Delete: "permission to delete files (DELETE)",
	}
	if err := rest.Try(ctx, trial{&streaming}, needs, s.log); err != nil {
		return rest.WithOp(op, err)
	}
	return rest.WithOp(op, s.session().testRoom(ctx))
}

// testRoom logs how much may still be written, where the server says so.
// https://www.rfc-editor.org/rfc/rfc4331
func (s *session) testRoom(ctx context.Context) error {
	all, err := s.properties(ctx, s.propfind("look for the quota", "", "0", quotaProperties))
	if err != nil || len(all) != 1 || all[0].free < 0 {
		return err
	}
	if all[0].free == 0 {
		return shield.Errorf(shield.StoreFailed, "", "%s: no room is left: the quota is used up", s.client.Place)
	}
	s.log(fmt.Sprintf("%d MiB may still be written to %s", all[0].free>>20, s.client.Place))
	return nil
}

// A trial is a store that is being tried, whose credentials are known to be
// good: it has been listed. Servers that refuse a permission by asking for
// other credentials mean Forbidden.
type trial struct{ *store }

func denied(err error) error {
	if errors.Is(err, shield.Unauthorized) {
		return &shield.Error{Code: shield.Forbidden, Message: fmt.Sprint(err)}
	}
	return err
}

// Put implements plugin.Store.
func (t trial) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	stored, err := t.store.Put(ctx, key, r)
	return stored, denied(err)
}

// Get implements plugin.Store.
func (t trial) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := t.store.Get(ctx, key)
	return r, denied(err)
}

// Delete implements plugin.Store.
func (t trial) Delete(ctx context.Context, key string) error {
	return denied(t.store.Delete(ctx, key))
}
