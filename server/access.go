package server

import (
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humabunrouter"

	"github.com/shieldhq/shield"
)

// roleKey is where the document, and authorize, have the role that an operation
// wants.
const roleKey = "x-shield-role"

// authorize lets those through to an operation who have the role that it
// wants. It is the one place that does.
func (s *Server) authorize(hc huma.Context, next func(huma.Context)) {
	want, closed := hc.Operation().Extensions[roleKey].(shield.Role)
	if !closed {
		next(hc)
		return
	}
	req, w := humabunrouter.Unwrap(hc)
	p, err := s.opts.Authenticate(req.Request)
	if err != nil {
		if errors.Is(err, shield.Unauthorized) {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		s.problem(w, req.Request, err)
		return
	}
	if !p.Role.Allows(want) {
		s.forbidden(hc.Operation(), req.Request, p)
		s.problem(w, req.Request, shield.Errorf(shield.Forbidden, "", "%s has the role %s: this wants %s", p.Name, p.Role, want))
		return
	}
	next(huma.WithContext(hc, withPrincipal(hc.Context(), p)))
}

type principalKey struct{}

func withPrincipal(ctx context.Context, p shield.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// principal returns who makes the request that ctx belongs to; nobody for an
// operation that is open to everybody.
func principal(ctx context.Context) shield.Principal {
	p, _ := ctx.Value(principalKey{}).(shield.Principal)
	return p
}
