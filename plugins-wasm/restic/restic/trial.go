package restic

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Test stores a small blob, reads it back, lists and deletes it.
func (s *store) Test(ctx context.Context) (err error) {
	key, data := ".shield-test-"+strings.ToLower(rand.Text()), make([]byte, 1000)
	_, _ = rand.Read(data) // never fails
	if _, err := s.Put(ctx, key, bytes.NewReader(data)); err != nil {
		return lacks("write", err)
	}
	defer func() {
		if derr := s.Delete(context.WithoutCancel(ctx), key); err == nil && derr != nil {
			err = lacks("delete", derr)
		}
	}()
	r, err := s.Get(ctx, key)
	if err != nil {
		return lacks("read", err)
	}
	got, err := io.ReadAll(r)
	_ = r.Close() // the reading tells
	if err != nil {
		return lacks("read", err)
	}
	if !bytes.Equal(got, data) {
		return shield.Errorf(shield.Corrupt, "restic.Test", "a small archive reads back with other bytes than were stored")
	}
	found := false
	err = s.List(ctx, key, func(o plugin.Object) error { found = found || o.Key == key; return nil })
	if err == nil && !found {
		err = errors.New("an archive that was stored is not listed")
	}
	return lacks("list", err)
}

// lacks says which permission may be missing.
func lacks(permission string, err error) error {
	var e *shield.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.Code == shield.Forbidden:
		return &shield.Error{Code: e.Code, Field: e.Field, Message: fmt.Sprintf("the permission to %s is missing: %v", permission, err), Err: err}
	case e != nil:
		return &shield.Error{Code: e.Code, Field: e.Field, Message: fmt.Sprintf("cannot %s: %v", permission, err), Err: err}
	}
	return shield.Errorf(shield.CodeOf(err), "", "cannot %s: %w", permission, err)
}
