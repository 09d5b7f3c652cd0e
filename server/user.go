package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

func (s *Server) users() *noun[shield.User] {
	return &noun[shield.User]{
		server: s, path: "/v1/users", tag: "Users", one: "user", many: "users",
		params: []param{byName}, required: []string{"name", "role", "password"}, role: shield.RoleAdmin,
		service: service[shield.User]{s.catalog.CreateUser, s.catalog.User, s.catalog.Users, s.catalog.UpdateUser, s.catalog.DeleteUser},
		changed: unchanged,
		meta:    func(u *shield.User) *shield.Meta { return &u.Meta },
		prepare: func(ctx context.Context, u, old *shield.User) (err error) {
			if err := u.Validate(); err != nil {
				return err
			}
			if old != nil && u.Password == shield.Redacted {
				u.Password = old.Password
				return nil
			}
			u.Password, err = s.hasher.Hash(ctx, u.Password)
			return err
		},
		show: func(u *shield.User) { u.Password = shield.Redacted },
	}
}

// byUser narrows a list of tokens.
var byUser = param{name: "user", about: "Name or UUID of a user; for admins", typ: huma.TypeString}

// mountTokens adds the routes of tokens. Everybody has those of their own, and
// an admin all.
func (s *Server) mountTokens() {
	op := func(method, path, id, summary string) operation {
		return operation{method: method, path: "/v1/tokens" + path, id: id, tag: "Tokens", summary: summary, role: shield.RoleViewer}
	}
	list := op("GET", "", "listTokens", "List one's own tokens; an admin: all")
	list.params, list.fails = append([]param{byName, byUser}, tokenPager.params()...), []shield.Code{shield.NotFound}
	handle(s, list, s.listTokens)
	create := op("POST", "", "createToken", "Make a token; the answer alone has its value")
	create.body, create.status, create.fails = bodyOf[TokenRequest]("name"), http.StatusCreated, []shield.Code{shield.Conflict, shield.NotFound}
	create.tagged = true
	take(s, create, s.createToken)
	get := op("GET", "/{ref}", "getToken", "Show a token")
	get.tagged = true
	handle(s, get, s.getToken)
	patch := op("PATCH", "/{ref}", "patchToken", "Change name, summary, role or expiry of a token")
	patch.body, patch.fails = bodyOf[shield.Token](), []shield.Code{shield.Conflict}
	patch.body.name, patch.body.media = "TokenPatch", []string{"application/merge-patch+json", "application/json"}
	patch.tagged, patch.guarded = true, true
	handle(s, patch, s.patchToken)
	remove := op("DELETE", "/{ref}", "deleteToken", "Revoke a token")
	remove.guarded = true
	handle(s, remove, s.deleteToken)
}

func (s *Server) listTokens(ctx context.Context, c *call) ([]*shield.Token, error) {
	p := principal(ctx)
	user := ""
	if !p.Role.Allows(shield.RoleAdmin) {
		user = p.User
	}
	if ref := c.query.text("user"); ref != "" {
		var err error
		if user, err = s.userID(ctx, p, ref); err != nil {
			return nil, err
		}
	}
	if user == "" && p.Token != "" && !p.Role.Allows(shield.RoleAdmin) { // a token of nobody sees itself
		t, err := s.catalog.Token(ctx, p.Token)
		return []*shield.Token{t}, unknown(err)
	}
	return paged(ctx, c, tokenPager, func(ctx context.Context, f shield.Filter) ([]*shield.Token, error) {
		f.User = user
		return s.catalog.Tokens(ctx, f)
	})
}

// owns reports whether a token is for somebody to see and change.
func owns(p shield.Principal, t *shield.Token) bool {
	return p.Role.Allows(shield.RoleAdmin) || p.User != "" && t.User == p.User || t.UUID == p.Token
}

// userID returns the UUID of a user that somebody means. Who is no admin knows
// of oneself only.
func (s *Server) userID(ctx context.Context, p shield.Principal, ref string) (string, error) {
	if p.User != "" && (ref == p.Name || ref == p.User) {
		return p.User, nil
	}
	if !p.Role.Allows(shield.RoleAdmin) {
		return "", shield.Errorf(shield.Forbidden, "", "the tokens of others are for admins")
	}
	if err := s.whole(ctx, "user", &ref); err != nil {
		return "", err
	}
	return uuidOf(s.users().meta)(s.catalog.User(ctx, ref))
}

// ownToken returns a token that who asks may see.
func (s *Server) ownToken(ctx context.Context, ref string) (*shield.Token, error) {
	t, err := s.catalog.Token(ctx, ref)
	if err != nil {
		return nil, err
	}
	if !owns(principal(ctx), t) {
		return nil, shield.Errorf(shield.NotFound, "", "there is no token %.100q", ref)
	}
	return t, nil
}

// changeable returns a token that who asks may change, in a version that the
// client wants: no other one that may do more than the token that this is asked
// for with.
func (s *Server) changeable(ctx context.Context, c *call) (*shield.Token, error) {
	t, err := s.ownToken(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	if p := principal(ctx); p.Token != "" && p.Token != t.UUID && !p.Role.Allows(t.Role) {
		return nil, shield.Errorf(shield.Forbidden, "", "this is asked for with the role %s: it changes no token that may do more", p.Role)
	}
	return t, c.match(t.Version)
}

func (s *Server) getToken(ctx context.Context, c *call) (*shield.Token, error) {
	t, err := s.ownToken(ctx, c.ref())
	if err == nil {
		c.tag(t.Version)
	}
	return t, err
}

// deleteToken revokes a token, if it is in a version that the client wants.
func (s *Server) deleteToken(ctx context.Context, c *call) (nothing, error) {
	s.deletes.Lock() // nobody changes it between look and deletion
	defer s.deletes.Unlock()
	t, err := s.changeable(ctx, c)
	if err != nil {
		return nothing{}, err
	}
	return nothing{}, s.catalog.DeleteToken(ctx, t.UUID)
}

func (s *Server) createToken(ctx context.Context, c *call, r *TokenRequest) (*shield.Token, error) {
	p := principal(ctx)
	t := &shield.Token{Meta: shield.Meta{Name: r.Name, Summary: r.Summary}, User: p.User, Role: r.Role, ExpiresAt: r.ExpiresAt}
	if t.Role == "" {
		t.Role = p.Role
	}
	if r.User != "" {
		var err error
		if t.User, err = s.userID(ctx, p, r.User); err != nil {
			return nil, err
		}
	}
	if err := s.allowed(ctx, t, nil); err != nil {
		return nil, err
	}
	value := newValue()
	t.Sum, t.Prefix = sumOf(value), value[:len("shield_")+4]
	if err := s.catalog.CreateToken(ctx, t); err != nil {
		return nil, err
	}
	made, err := s.catalog.Token(ctx, t.UUID)
	if err != nil {
		return nil, err
	}
	made.Value = value
	c.tag(made.Version)
	return made, nil
}

// allowed checks what somebody makes of a token, old if it is there already:
// it may do no more than who makes it, and one that is made with a token does
// not outlive that.
func (s *Server) allowed(ctx context.Context, t, old *shield.Token) error {
	p := principal(ctx)
	if err := t.Validate(); err != nil {
		return err
	}
	if (old == nil || t.Role != old.Role) && !p.Role.Allows(t.Role) {
		return shield.Errorf(shield.Forbidden, "", "%s has the role %s: a token can have no more than that, not %s", p.Name, p.Role, t.Role)
	}
	if old != nil && t.ExpiresAt.Equal(old.ExpiresAt) {
		return nil
	}
	if t.Expired(time.Now()) {
		return shield.FieldErrorf("expires_at", "is %s, which is over: a time to come is wanted", t.ExpiresAt.Format(time.RFC3339))
	}
	if p.Token == "" {
		return nil
	}
	with, err := s.catalog.Token(ctx, p.Token)
	if err != nil {
		return unknown(err)
	}
	if !with.ExpiresAt.IsZero() && (t.ExpiresAt.IsZero() || t.ExpiresAt.After(with.ExpiresAt)) {
		return shield.Errorf(shield.Forbidden, "", "the token that this is asked for with expires at %s: one that it makes does, too, or before", with.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

func (s *Server) patchToken(ctx context.Context, c *call) (*shield.Token, error) {
	body, err := c.read()
	if err != nil {
		return nil, err
	}
	old, err := s.changeable(ctx, c)
	if err != nil {
		return nil, err
	}
	next, err := merge(old, body, nil)
	if err != nil {
		return nil, err
	}
	if next.User != old.User || next.UserName != old.UserName || next.Prefix != old.Prefix || !next.UsedAt.Equal(old.UsedAt) || next.Value != "" {
		return nil, shield.Errorf(shield.Invalid, "", "name, summary, role and expires_at are all that can be changed of a token")
	}
	next.Sum = old.Sum
	if err := s.allowed(ctx, next, old); err != nil {
		return nil, err
	}
	s.deletes.Lock()
	err = s.catalog.UpdateToken(ctx, next)
	s.deletes.Unlock()
	if errors.Is(err, shield.NotFound) {
		return nil, shield.Errorf(shield.NotFound, "", "there is no token %.100q", c.ref())
	}
	if err != nil {
		return nil, c.matched(err)
	}
	return s.getToken(ctx, c)
}
