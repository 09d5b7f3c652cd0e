package server

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
)

// UserRequest is the body that makes a user.
type UserRequest struct {
	Name     string      `json:"name"`
	Summary  string      `json:"summary,omitempty"`
	Role     shield.Role `json:"role"`
	Disabled bool        `json:"disabled,omitempty"`
	Password string      `json:"password"`
}

// TokenRequest is the body that makes a token.
type TokenRequest struct {
	Name    string `json:"name"`
	Summary string `json:"summary,omitempty"`
	// Role is what it may do at most; empty: all that who makes it may.
	Role      shield.Role `json:"role,omitempty"`
	ExpiresAt time.Time   `json:"expires_at,omitzero"` // zero: never
	// User is the name or UUID of whom it belongs to; empty: who makes it.
	User string `json:"user,omitempty"`
}

// LoginRequest is the body of a login.
type LoginRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// PasswordRequest is the body of a change of one's own password.
type PasswordRequest struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// With returns a client of the same daemon with another token.
func (c *Client) With(token shield.Secret) *Client {
	other := *c
	other.token, other.cookie = token, ""
	return &other
}

// identify says in a request who makes it.
func (c *Client) identify(req *http.Request) {
	if c.cookie != "" {
		req.AddCookie(&http.Cookie{Name: SessionCookie, Value: c.cookie.Reveal()})
		return
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
}

// Users returns the client of users. CreateUser makes one.
func (c *Client) Users() NounClient[shield.User] { return NounClient[shield.User]{c, "/v1/users"} }

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, r UserRequest) (*shield.User, error) {
	out := new(shield.User)
	return out, c.Do(ctx, http.MethodPost, "/v1/users", r, out)
}

// Tokens returns the client of tokens. CreateToken makes one.
func (c *Client) Tokens() NounClient[shield.Token] { return NounClient[shield.Token]{c, "/v1/tokens"} }

// CreateToken makes a token and returns it with its value.
func (c *Client) CreateToken(ctx context.Context, r TokenRequest) (*shield.Token, error) {
	out := new(shield.Token)
	return out, c.Do(ctx, http.MethodPost, "/v1/tokens", r, out)
}

// Login begins a session and returns who it is of, and a client in it.
func (c *Client) Login(ctx context.Context, name, password string) (*shield.Principal, *Client, error) {
	who, in := new(shield.Principal), *c
	in.token = ""
	body, err := json.Marshal(LoginRequest{name, password})
	if err != nil {
		return nil, nil, err
	}
	header, err := in.roundTrip(ctx, c.http, http.MethodPost, "/v1/session", "application/json", body, who)
	if err != nil {
		return nil, nil, err
	}
	for _, cookie := range (&http.Response{Header: header}).Cookies() {
		if cookie.Name == SessionCookie {
			in.cookie = shield.Secret(cookie.Value)
			return who, &in, nil
		}
	}
	return nil, nil, shield.Errorf(shield.Unavailable, "", "the daemon at %s has not begun a session", c.base)
}

// Logout ends the client's session, or revokes its token.
func (c *Client) Logout(ctx context.Context) error {
	return c.Do(ctx, http.MethodDelete, "/v1/session", nil, nil)
}

// Whoami returns who the daemon takes the client for.
func (c *Client) Whoami(ctx context.Context) (*shield.Principal, error) {
	out := new(shield.Principal)
	return out, c.Do(ctx, http.MethodGet, "/v1/session", nil, out)
}

// ChangePassword changes the password of the client's user.
func (c *Client) ChangePassword(ctx context.Context, old, fresh string) error {
	return c.Do(ctx, http.MethodPost, "/v1/session/password", PasswordRequest{old, fresh}, nil)
}

// Audit returns the audit log, the newest entry first unless the query has
// behind.
func (c *Client) Audit(ctx context.Context, query url.Values) ([]*shield.AuditEntry, error) {
	var out []*shield.AuditEntry
	return out, c.Do(ctx, http.MethodGet, "/v1/audit?"+query.Encode(), nil, &out)
}
