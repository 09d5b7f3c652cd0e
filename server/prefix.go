package server

import (
	"context"
	"errors"
	"strings"

	"github.com/shieldhq/shield"
)

// prefixed are the nouns of paths whose UUIDs can be given by their beginning,
// as the catalog calls them.
var prefixed = map[string]string{
	"targets": "target", "stores": "store", "schedules": "schedule", "retention": "retention policy",
	"jobs": "job", "archives": "archive", "tasks": "task", "users": "user", "tokens": "token", "agents": "agent",
}

// expand makes a UUID whole of which the path has the beginning.
func (c *call) expand(ctx context.Context) (err error) {
	noun, _, _ := strings.Cut(strings.TrimPrefix(c.op.path, "/v1/"), "/")
	if kind := prefixed[noun]; kind != "" && c.named != "" {
		c.named, err = c.server.catalog.Expand(ctx, kind, c.named)
	}
	return err
}

// whole makes a UUID whole of which a field has the beginning. What is no UUID
// stays as it is.
func (s *Server) whole(ctx context.Context, field string, ref *string) error {
	text, err := s.catalog.Expand(ctx, strings.ReplaceAll(field, "_", " "), *ref)
	var e *shield.Error
	if errors.As(err, &e) && e.Code == shield.Invalid {
		return &shield.Error{Code: e.Code, Field: field, Message: e.Message}
	}
	if err == nil {
		*ref = text
	}
	return err
}

// wholeJob does so with all that a job refers to.
func (s *Server) wholeJob(ctx context.Context, j *shield.Job) error {
	for field, ref := range map[string]*string{"target": &j.Target, "store": &j.Store, "schedule": &j.Schedule, "retention_policy": &j.Policy} {
		if err := s.whole(ctx, field, ref); err != nil {
			return err
		}
	}
	return nil
}
