package shield

import (
	"context"
	"time"
)

// A Session is a browser in which a user has logged in. Of the value of its
// cookie only a hash is kept.
type Session struct {
	UUID      string
	User      string // UUID
	Sum       string // hexadecimal SHA-256 of the cookie's value
	Password  Secret // hash of the password that was given; not kept
	From      string // address that logged in
	CreatedAt time.Time
	SeenAt    time.Time // to the minute
	ExpiresAt time.Time // whatever is done in it
}

// SessionService keeps sessions.
type SessionService interface {
	// CreateSession keeps a session, with a UUID unless it has one, and
	// forgets those that have expired by then. It returns NotFound if there
	// is no such user, and Conflict for one who is disabled or has another
	// password by now.
	CreateSession(ctx context.Context, s *Session) error
	// Session returns the one with a Sum.
	Session(ctx context.Context, sum string) (*Session, error)
	// SeeSession notes when a session was last used.
	SeeSession(ctx context.Context, uuid string, at time.Time) error
	DeleteSession(ctx context.Context, uuid string) error
}
