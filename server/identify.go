package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// SessionCookie is the name of the cookie that a browser is known by.
const SessionCookie = "shield_session"

// How long a session lasts: while something is done in it at least once in
// sessionIdle, and never for longer than sessionLife.
const (
	sessionIdle = 12 * time.Hour
	sessionLife = 7 * 24 * time.Hour
)

// usedEvery is how exactly the catalog knows when a token or session was last
// used.
const usedEvery = time.Minute

// sumOf is what is kept of the value of a token or cookie. The values are
// random, so that it needs no salt.
func sumOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// newValue makes the value of a token or cookie, of at least 128 random bits.
func newValue() string { return "shield_" + rand.Text() }

// identify returns who makes a request: by its bearer token or, if it has none,
// by the cookie of its session.
func (s *Server) identify(req *http.Request) (shield.Principal, error) {
	if header := req.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return shield.Principal{}, unauthorized()
		}
		return s.bearer(req.Context(), token)
	}
	cookie, err := req.Cookie(SessionCookie)
	if err != nil {
		return shield.Principal{}, unauthorized()
	}
	p, err := s.sessionOf(req.Context(), cookie.Value)
	if err != nil {
		return shield.Principal{}, err
	}
	return p, s.sameOrigin(req)
}

func unauthorized() error {
	return shield.Errorf(shield.Unauthorized, "", "a valid token is wanted in the header Authorization: Bearer TOKEN, or a session")
}

// sameOrigin refuses what a page of another site has a browser do.
func (s *Server) sameOrigin(req *http.Request) error {
	if err := s.origins.Check(req); err != nil {
		return shield.Errorf(shield.Forbidden, "", "this comes from a page of another site: only shield's own may do that")
	}
	return nil
}

// bearer returns whose token it is. That of the daemon's file is not in the
// catalog, so that it works whatever is in there.
func (s *Server) bearer(ctx context.Context, value string) (shield.Principal, error) {
	if sum := sha256.Sum256([]byte(value)); subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 && s.opts.Token != "" {
		return shield.Principal{Name: shield.AdminName, Role: shield.RoleAdmin}, nil
	}
	t, err := s.catalog.TokenBySum(ctx, sumOf(value))
	if err != nil {
		return shield.Principal{}, unknown(err)
	}
	now := time.Now()
	if t.Expired(now) {
		return shield.Principal{}, unauthorized()
	}
	p := shield.Principal{Name: "token " + t.Name, Role: t.Role}
	if t.User != "" {
		if p, err = s.userOf(ctx, t.User, t.Role); err != nil {
			return shield.Principal{}, err
		}
	}
	p.Token = t.UUID
	if now.Sub(t.UsedAt) >= usedEvery {
		err = s.noted(s.catalog.UseToken(ctx, t.UUID, now))
	}
	return p, unknown(err) // it may be deleted meanwhile
}

// sessionOf returns who has logged in in a session.
func (s *Server) sessionOf(ctx context.Context, value string) (shield.Principal, error) {
	in, err := s.catalog.Session(ctx, sumOf(value))
	if err != nil {
		return shield.Principal{}, unknown(err)
	}
	now := time.Now()
	if !now.Before(in.ExpiresAt) || now.Sub(in.SeenAt) >= sessionIdle {
		return shield.Principal{}, unauthorized()
	}
	p, err := s.userOf(ctx, in.User, shield.RoleAdmin)
	if err != nil {
		return shield.Principal{}, err
	}
	p.Session = in.UUID
	if now.Sub(in.SeenAt) >= usedEvery {
		err = s.noted(s.catalog.SeeSession(ctx, in.UUID, now))
	}
	return p, unknown(err)
}

// noted returns only that something is gone: when it was last used is not worth
// a request, least of all while the disk is full.
func (s *Server) noted(err error) error {
	if err == nil || errors.Is(err, shield.NotFound) {
		return err
	}
	s.opts.Log.Warn("when a token or session was last used is not noted", "err", err)
	return nil
}

// userOf returns a user who is not disabled, with no more than the rights of a
// role.
func (s *Server) userOf(ctx context.Context, id string, most shield.Role) (shield.Principal, error) {
	u, err := s.catalog.User(ctx, id)
	if err != nil {
		return shield.Principal{}, unknown(err)
	}
	if u.Disabled {
		return shield.Principal{}, unauthorized()
	}
	return u.Principal(most), nil
}

// unknown is the error for somebody who is not in the catalog.
func unknown(err error) error {
	if errors.Is(err, shield.NotFound) {
		return unauthorized()
	}
	return err
}
