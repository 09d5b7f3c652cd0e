package shield

import (
	"context"
	"time"
)

// A Token lets programs in. Of its value only a hash is kept.
type Token struct {
	Meta
	// User is the UUID of the user whose token it is, in whose name and with
	// whose rights, at most, it acts. Empty: it belongs to no user.
	User      string    `json:"user_uuid"`
	UserName  string    `json:"user"`
	Role      Role      `json:"role"`       // what it may do at most
	Prefix    string    `json:"prefix"`     // how its value begins, to know it again
	ExpiresAt time.Time `json:"expires_at"` // zero: never
	UsedAt    time.Time `json:"used_at"`    // to the minute; zero: never
	// Value is the token itself, in the answer to its creation only. It is
	// not kept.
	Value string `json:"value,omitempty"`
	Sum   string `json:"-"` // hexadecimal SHA-256 of the value
}

// Validate checks what users set of a token.
func (t *Token) Validate() error { return FirstError(t.validate(), t.Role.Validate()) }

// Expired reports whether the token has stopped working.
func (t *Token) Expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// TokenService keeps tokens.
type TokenService interface {
	CreateToken(ctx context.Context, t *Token) error
	Token(ctx context.Context, ref string) (*Token, error)
	TokenBySum(ctx context.Context, sum string) (*Token, error)
	// Tokens returns all, or those of a user.
	Tokens(ctx context.Context, f Filter) ([]*Token, error)
	// UpdateToken changes name, summary, role and expiry.
	UpdateToken(ctx context.Context, t *Token) error
	DeleteToken(ctx context.Context, ref string) error
	// UseToken notes when a token was last used, which is no change of it.
	UseToken(ctx context.Context, uuid string, at time.Time) error
}
