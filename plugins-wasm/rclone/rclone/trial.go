package rclone

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
	f, err := s.features(ctx)
	if err != nil {
		return err
	}
	if !f.Features.Move && !f.Features.Copy {
		s.log("this remote can neither move nor copy by itself: rclone uploads every archive twice")
	}
	if !f.Features.PutStream {
		s.log("this remote does not take streams: rclone keeps each archive in a temporary file while it uploads")
	}
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
		return shield.Errorf(shield.StoreFailed, "rclone.Test", "a small file reads back with other bytes than were stored")
	}
	return lacks("list", s.finds(ctx, key))
}

func (s *store) finds(ctx context.Context, key string) error {
	found := false
	err := s.List(ctx, key, func(o plugin.Object) error { found = found || o.Key == key; return nil })
	if err == nil && !found {
		err = errors.New("a file that was stored is not listed")
	}
	return err
}

// lacks says which permission may be missing.
func lacks(permission string, err error) error {
	if err == nil {
		return nil
	}
	text := fmt.Sprintf("cannot %s: %v", permission, err)
	var e *shield.Error
	if errors.As(err, &e) {
		if e.Code == shield.Forbidden {
			text = fmt.Sprintf("the permission to %s is missing: %v", permission, err)
		}
		return &shield.Error{Code: e.Code, Field: e.Field, Message: text, Err: err}
	}
	return shield.Errorf(shield.CodeOf(err), "", "%s", text)
}
