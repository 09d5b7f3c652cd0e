package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/shieldhq/shield"
)

func (s *Server) mountSession() {
	op := func(method, path, id, summary string, role shield.Role) operation {
		return operation{method: method, path: "/v1/session" + path, id: id, tag: "Session", summary: summary, role: role}
	}
	in := op("POST", "", "login", "Log in with a name and a password; the answer sets the cookie of the session", "")
	in.body, in.status, in.fails = bodyOf[LoginRequest]("name", "password"), http.StatusOK, []shield.Code{shield.Unauthorized, shield.Forbidden, shield.Throttled, shield.Canceled}
	take(s, in, s.login)
	handle(s, op("GET", "", "getSession", "Show who makes the request", shield.RoleViewer), func(ctx context.Context, _ *call) (*shield.Principal, error) {
		p := principal(ctx)
		return &p, nil
	})
	handle(s, op("DELETE", "", "logout", "End the session, or revoke the token, that the request is made with", shield.RoleViewer), s.logout)
	change := op("POST", "/password", "changePassword", "Change one's own password, which ends one's sessions but this", shield.RoleViewer)
	change.body, change.fails = bodyOf[PasswordRequest]("old", "new"), []shield.Code{shield.Conflict, shield.Throttled, shield.Canceled}
	take(s, change, s.changePassword)
}

// wrong is the same for a name that nobody has.
func wrong() error {
	return shield.Errorf(shield.Unauthorized, "", "the name or the password is wrong")
}

func (s *Server) login(ctx context.Context, c *call, r *LoginRequest) (*shield.Principal, error) {
	if err := s.sameOrigin(c.req.Request); err != nil {
		return nil, err
	}
	u, err := s.catalog.User(ctx, r.Name)
	switch {
	case errors.Is(err, shield.NotFound) || err == nil && (u.Disabled || u.Name != r.Name):
		u = &shield.User{}
	case err != nil:
		return nil, err
	}
	if u.Name != "" {
		shield.DeedOf(ctx).By(u.Name) // anything else may be a password in the wrong place
	}
	if err := s.verify(ctx, c, r.Name, r.Password, u.Password); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, c, u); err != nil {
		return nil, err
	}
	p := u.Principal(shield.RoleAdmin)
	return &p, nil
}

// nobody is what tries are counted for that give what is no name.
const nobody = "\x00"

// verify checks a password, which takes as long if there is no hash. Who gives
// wrong ones has to wait.
func (s *Server) verify(ctx context.Context, c *call, name, text string, hash shield.Secret) error {
	if shield.ValidateName("name", name) != nil {
		name = nobody
	}
	from := addressOf(c.req.RemoteAddr)
	if wait := s.tries.begin(name, from, time.Now()); wait > 0 {
		seconds := int(math.Ceil(wait.Seconds()))
		c.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return shield.Errorf(shield.Throttled, "", "too many wrong passwords: the next one is looked at in %d s", seconds)
	}
	ok, err := s.hasher.Verify(ctx, shield.Secret(text), hash)
	if err != nil {
		return err
	}
	if !ok {
		return wrong()
	}
	s.tries.right(name, from)
	return nil
}

// begin makes a session and gives it to the browser.
func (s *Server) begin(ctx context.Context, c *call, u *shield.User) error {
	value, now := newValue(), time.Now()
	err := s.catalog.CreateSession(ctx, &shield.Session{
		User: u.UUID, Password: u.Password, Sum: sumOf(value), From: hostOf(c.req.RemoteAddr), CreatedAt: now, ExpiresAt: now.Add(sessionLife),
	})
	switch {
	case errors.Is(err, shield.Conflict):
		return wrong() // by now
	case err == nil:
		http.SetCookie(c.w, cookie(c.req.Request, value, int(sessionLife.Seconds())))
	}
	return err
}

// cookie is sent to no other site, nor, where a proxy says that the browser
// speaks TLS, in the clear.
func cookie(req *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: SessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: req.TLS != nil || req.Header.Get("X-Forwarded-Proto") == "https",
	}
}

func (s *Server) logout(ctx context.Context, c *call) (nothing, error) {
	p := principal(ctx)
	switch {
	case p.Session != "":
		http.SetCookie(c.w, cookie(c.req.Request, "", -1))
		return nothing{}, s.catalog.DeleteSession(ctx, p.Session)
	case p.Token != "":
		return nothing{}, s.catalog.DeleteToken(ctx, p.Token)
	}
	return nothing{}, shield.Errorf(shield.Conflict, "", "the admin token is not revoked like this: delete its file and start the daemon again")
}

func (s *Server) changePassword(ctx context.Context, c *call, r *PasswordRequest) (nothing, error) {
	p := principal(ctx)
	if p.User == "" {
		return nothing{}, shield.Errorf(shield.Conflict, "", "%s is no user and has no password", p.Name)
	}
	u, err := s.catalog.User(ctx, p.User)
	if err != nil {
		return nothing{}, unknown(err)
	}
	if err := s.verify(ctx, c, u.Name, r.Old, u.Password); err != nil {
		if errors.Is(err, shield.Unauthorized) { // which would say that the session is over
			return nothing{}, shield.FieldErrorf("old", "is not the password")
		}
		return nothing{}, err
	}
	if u.Password, err = s.hasher.Hash(ctx, shield.Secret(r.New)); err != nil {
		return nothing{}, renamed(err, "new")
	}
	if err := s.catalog.UpdateUser(ctx, u); err != nil {
		return nothing{}, err
	}
	if p.Session == "" {
		return nothing{}, nil
	}
	return nothing{}, s.begin(ctx, c, u)
}

// renamed is an error about a field that the client knows by another name.
func renamed(err error, field string) error {
	var e *shield.Error
	if !errors.As(err, &e) || e.Field == "" {
		return err
	}
	other := *e
	other.Field = field
	return &other
}
