package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type tokenRow struct {
	bun.BaseModel `bun:"table:tokens,alias:n"`
	metaRow
	User      sql.NullString `bun:"user_uuid"`
	UserName  string         `bun:"user_name,scanonly"`
	Role      string         `bun:"role"`
	Prefix    string         `bun:"prefix"`
	Sum       string         `bun:"sum"`
	ExpiresAt stamp          `bun:"expires_at"`
	UsedAt    stamp          `bun:"used_at"`
}

func tokenToRow(t *shield.Token) *tokenRow {
	return &tokenRow{
		metaRow: metaToRow(t.Meta), User: sql.NullString{String: t.User, Valid: t.User != ""}, Role: string(t.Role),
		Prefix: t.Prefix, Sum: t.Sum, ExpiresAt: stampOf(t.ExpiresAt), UsedAt: stampOf(t.UsedAt),
	}
}

func (r *tokenRow) noun() *shield.Token {
	return &shield.Token{
		Meta: r.meta(), User: r.User.String, UserName: r.UserName, Role: shield.Role(r.Role),
		Prefix: r.Prefix, Sum: r.Sum, ExpiresAt: r.ExpiresAt.Time, UsedAt: r.UsedAt.Time,
	}
}

func tokens() noun[shield.Token, tokenRow] {
	return noun[shield.Token, tokenRow]{
		name: "token", title: "Token", table: "tokens",
		validate: validateToken,
		meta:     func(t *shield.Token) *shield.Meta { return &t.Meta },
		row:      tokenToRow,
		noun:     (*tokenRow).noun,
		resolve:  resolveToken,
		columns: func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.ColumnExpr("n.*").ColumnExpr("coalesce((SELECT name FROM users WHERE users.uuid = n.user_uuid), '') AS user_name")
		},
		filter: func(q *bun.SelectQuery, f shield.Filter) *bun.SelectQuery { return equal(q, "user_uuid", f.User) },
		users:  func(context.Context, bun.Tx, string) ([]string, error) { return nil, nil },
		keep: func(t, old *shield.Token) {
			t.User, t.UserName, t.Prefix, t.Sum, t.UsedAt = old.User, old.UserName, old.Prefix, old.Sum, old.UsedAt
		},
	}
}

func validateToken(t *shield.Token) error {
	if err := t.Validate(); err != nil {
		return err
	}
	return checkSum(t.Sum)
}

// checkSum does not show the sum: who mixed the two up would see the value.
func checkSum(sum string) error {
	if b, err := hex.DecodeString(sum); err != nil || len(b) != 32 {
		return shield.FieldErrorf("sum", "is not the hexadecimal form of a SHA-256")
	}
	return nil
}

// resolveToken finds the user by name or UUID.
func resolveToken(ctx context.Context, tx bun.Tx, t *shield.Token) error {
	t.ExpiresAt, t.UsedAt, t.Value, t.UserName = whole(t.ExpiresAt), whole(t.UsedAt), "", ""
	if t.User == "" {
		return nil
	}
	u, err := users().find(ctx, tx, t.User)
	if err != nil {
		return err
	}
	t.User, t.UserName = u.UUID, u.Name
	return nil
}

// CreateToken implements shield.TokenService.
func (db *DB) CreateToken(ctx context.Context, t *shield.Token) error {
	return tokens().create(ctx, db, t)
}

// Token implements shield.TokenService.
func (db *DB) Token(ctx context.Context, ref string) (*shield.Token, error) {
	return tokens().get(ctx, db, ref)
}

// TokenBySum implements shield.TokenService.
func (db *DB) TokenBySum(ctx context.Context, sum string) (*shield.Token, error) {
	row := new(tokenRow)
	err := db.read(ctx, "catalog.TokenBySum", func(ctx context.Context, q bun.IDB) error {
		return bySum(ctx, tokens().selectRows(q, row), "token", sum)
	})
	if err != nil {
		return nil, err
	}
	return row.noun(), nil
}

// bySum finds the row with a sum, which the error does not show.
func bySum(ctx context.Context, q *bun.SelectQuery, kind, sum string) error {
	if checkSum(sum) == nil {
		if found, err := findBy(ctx, q, "sum", sum); err != nil || found {
			return err
		}
	}
	return shield.Errorf(shield.NotFound, "", "there is no such %s", kind)
}

// Tokens implements shield.TokenService. They are ordered by name.
func (db *DB) Tokens(ctx context.Context, f shield.Filter) ([]*shield.Token, error) {
	return tokens().list(ctx, db, f)
}

// UpdateToken implements shield.TokenService.
func (db *DB) UpdateToken(ctx context.Context, t *shield.Token) error {
	return tokens().update(ctx, db, t)
}

// DeleteToken implements shield.TokenService.
func (db *DB) DeleteToken(ctx context.Context, ref string) error {
	return tokens().remove(ctx, db, ref)
}

// UseToken implements shield.TokenService.
func (db *DB) UseToken(ctx context.Context, uuid string, at time.Time) error {
	return db.write(ctx, "catalog.UseToken", func(ctx context.Context, tx bun.Tx) error {
		return touch(ctx, tx, "token", "used_at", uuid, at)
	})
}

// touch sets a time of the row of a kind with a UUID.
func touch(ctx context.Context, tx bun.Tx, kind, column, uuid string, at time.Time) error {
	if !shield.IsUUID(uuid) {
		return notFound(kind+" with the UUID", uuid)
	}
	r, err := tx.NewUpdate().Table(kind+"s").Set("? = ?", bun.Ident(column), stampOf(at)).Where("uuid = ?", uuid).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return shield.FirstError(err, notFound(kind+" with the UUID", uuid))
	}
	return nil
}
