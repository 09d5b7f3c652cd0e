package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type sessionRow struct {
	bun.BaseModel `bun:"table:sessions,alias:n"`
	ID            int64  `bun:"id,pk,autoincrement"`
	UUID          string `bun:"uuid"`
	User          string `bun:"user_uuid"`
	Sum           string `bun:"sum"`
	From          string `bun:"from"`
	CreatedAt     stamp  `bun:"created_at"`
	SeenAt        stamp  `bun:"seen_at"`
	ExpiresAt     stamp  `bun:"expires_at"`
}

func sessionToRow(s *shield.Session) *sessionRow {
	return &sessionRow{
		UUID: s.UUID, User: s.User, Sum: s.Sum, From: s.From,
		CreatedAt: stampOf(s.CreatedAt), SeenAt: stampOf(s.SeenAt), ExpiresAt: stampOf(s.ExpiresAt),
	}
}

func (r *sessionRow) noun() *shield.Session {
	return &shield.Session{
		UUID: r.UUID, User: r.User, Sum: r.Sum, From: r.From,
		CreatedAt: r.CreatedAt.Time, SeenAt: r.SeenAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}

// CreateSession implements shield.SessionService.
func (db *DB) CreateSession(ctx context.Context, s *shield.Session) error {
	made := *s
	err := db.write(ctx, "catalog.CreateSession", func(ctx context.Context, tx bun.Tx) (err error) {
		made = *s
		return createSession(ctx, tx, &made)
	})
	if err == nil {
		*s = made
	}
	return err
}

func createSession(ctx context.Context, tx bun.Tx, s *shield.Session) error {
	if err := checkSum(s.Sum); err != nil {
		return err
	}
	if s.CreatedAt.IsZero() {
		s.CreatedAt = time.Now()
	}
	s.CreatedAt, s.SeenAt, s.ExpiresAt = whole(s.CreatedAt), whole(s.SeenAt), whole(s.ExpiresAt)
	if s.SeenAt.IsZero() {
		s.SeenAt = s.CreatedAt
	}
	if !s.ExpiresAt.After(s.CreatedAt) {
		return shield.FieldErrorf("expires_at", "is not after the time at which the session is made")
	}
	u, err := users().find(ctx, tx, s.User)
	if err != nil {
		return err
	}
	if u.Disabled || u.Password != s.Password {
		return shield.Errorf(shield.Conflict, "", "user %s was changed meanwhile", u.Name)
	}
	s.User, s.Password = u.UUID, ""
	if s.UUID, err = newUUID(s.UUID); err != nil {
		return err
	}
	if _, err := tx.NewDelete().Table("sessions").Where("expires_at <= ?", stampOf(s.CreatedAt)).Exec(ctx); err != nil {
		return err
	}
	about(ctx, "user", &u.Meta)
	return insert(ctx, tx, sessionToRow(s))
}

// Session implements shield.SessionService.
func (db *DB) Session(ctx context.Context, sum string) (*shield.Session, error) {
	row := new(sessionRow)
	err := db.read(ctx, "catalog.Session", func(ctx context.Context, q bun.IDB) error {
		return bySum(ctx, q.NewSelect().Model(row), "session", sum)
	})
	if err != nil {
		return nil, err
	}
	return row.noun(), nil
}

// SeeSession implements shield.SessionService.
func (db *DB) SeeSession(ctx context.Context, uuid string, at time.Time) error {
	return db.write(ctx, "catalog.SeeSession", func(ctx context.Context, tx bun.Tx) error {
		return touch(ctx, tx, "session", "seen_at", uuid, at)
	})
}

// DeleteSession implements shield.SessionService.
func (db *DB) DeleteSession(ctx context.Context, uuid string) error {
	return db.write(ctx, "catalog.DeleteSession", func(ctx context.Context, tx bun.Tx) error {
		if !shield.IsUUID(uuid) {
			return notFound("session with the UUID", uuid)
		}
		r, err := tx.NewDelete().Table("sessions").Where("uuid = ?", uuid).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return shield.FirstError(err, notFound("session with the UUID", uuid))
		}
		return nil
	})
}
