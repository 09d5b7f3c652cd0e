package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type auditRow struct {
	bun.BaseModel `bun:"table:audit,alias:n"`
	ID            int64  `bun:"id,pk"`
	At            stamp  `bun:"at"`
	Who           string `bun:"who"`
	From          string `bun:"from"`
	Action        string `bun:"action"`
	Object        string `bun:"object"`
	Result        string `bun:"result"`
	Before        string `bun:"before"`
	Sum           string `bun:"sum"`
}

func (r *auditRow) noun() *shield.AuditEntry {
	return &shield.AuditEntry{
		ID: r.ID, At: r.At.Time, Who: r.Who, From: r.From, Action: r.Action, Object: r.Object,
		Result: r.Result, Before: r.Before, Sum: r.Sum,
	}
}

// Audit implements shield.AuditService.
func (db *DB) Audit(ctx context.Context, e *shield.AuditEntry) error {
	made := *e
	err := db.attempt(ctx, "catalog.Audit", func() error {
		return db.writer.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			made = *e
			return recordAudit(ctx, tx, &made)
		})
	})
	if err == nil {
		*e = made
	}
	return err
}

// recordAudit seals e behind the newest entry. Transactions that write wait for
// one another, so that no two follow the same one.
func recordAudit(ctx context.Context, tx bun.Tx, e *shield.AuditEntry) error {
	if e.Action == "" {
		return shield.FieldErrorf("action", "is missing: what was done is wanted")
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	var before *shield.AuditEntry
	newest := new(auditRow)
	switch err := tx.NewSelect().Model(newest).OrderExpr("n.id DESC").Limit(1).Scan(ctx); {
	case err == nil:
		before = newest.noun()
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	e.Seal(before)
	return insert(ctx, tx, &auditRow{
		ID: e.ID, At: stampOf(e.At), Who: e.Who, From: e.From, Action: e.Action, Object: e.Object,
		Result: e.Result, Before: e.Before, Sum: e.Sum,
	})
}

// AuditLog implements shield.AuditService.
func (db *DB) AuditLog(ctx context.Context, f shield.AuditFilter) ([]*shield.AuditEntry, error) {
	var rows []*auditRow
	err := db.read(ctx, "catalog.AuditLog", func(ctx context.Context, q bun.IDB) error {
		if !isText(f.Who) {
			return nil
		}
		return auditQuery(q, &rows, f).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, (*auditRow).noun), nil
}

func auditQuery(db bun.IDB, model any, f shield.AuditFilter) *bun.SelectQuery {
	q := equal(between(db.NewSelect().Model(model), "at", f.After, f.Before), "who", f.Who)
	if f.Behind != nil {
		q = q.Where("n.id > ?", *f.Behind).OrderExpr("n.id")
	} else {
		q = q.OrderExpr("n.id DESC")
	}
	return limited(q, shield.Filter{Limit: f.Limit})
}
