package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type userRow struct {
	bun.BaseModel `bun:"table:users,alias:n"`
	metaRow
	Role     string `bun:"role"`
	Disabled bool   `bun:"disabled"`
	Password string `bun:"password"`
}

func userToRow(u *shield.User) *userRow {
	return &userRow{metaRow: metaToRow(u.Meta), Role: string(u.Role), Disabled: u.Disabled, Password: u.Password.Reveal()}
}

func (r *userRow) noun() *shield.User {
	return &shield.User{Meta: r.meta(), Role: shield.Role(r.Role), Disabled: r.Disabled, Password: shield.Secret(r.Password)}
}

func users() noun[shield.User, userRow] {
	return noun[shield.User, userRow]{
		name: "user", title: "User", table: "users",
		validate: (*shield.User).Validate,
		meta:     func(u *shield.User) *shield.Meta { return &u.Meta },
		row:      userToRow,
		noun:     (*userRow).noun,
		users:    func(context.Context, bun.Tx, string) ([]string, error) { return nil, nil },
		replaced: func(ctx context.Context, tx bun.Tx, u, old *shield.User) error {
			if u.Password == old.Password && !u.Disabled {
				return nil
			}
			_, err := tx.NewDelete().Table("sessions").Where("user_uuid = ?", u.UUID).Exec(ctx)
			return err
		},
	}
}

// CreateUser implements shield.UserService.
func (db *DB) CreateUser(ctx context.Context, u *shield.User) error {
	return users().create(ctx, db, u)
}

// User implements shield.UserService.
func (db *DB) User(ctx context.Context, ref string) (*shield.User, error) {
	return users().get(ctx, db, ref)
}

// Users implements shield.UserService. They are ordered by name.
func (db *DB) Users(ctx context.Context, f shield.Filter) ([]*shield.User, error) {
	return users().list(ctx, db, f)
}

// UpdateUser implements shield.UserService.
func (db *DB) UpdateUser(ctx context.Context, u *shield.User) error {
	return users().update(ctx, db, u)
}

// DeleteUser implements shield.UserService. Tokens and sessions go with the
// user by their foreign keys.
func (db *DB) DeleteUser(ctx context.Context, ref string) error { return users().remove(ctx, db, ref) }
