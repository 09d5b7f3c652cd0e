package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type eventRow struct {
	bun.BaseModel `bun:"table:events,alias:n"`
	ID            int64  `bun:"id,pk,autoincrement"`
	At            stamp  `bun:"at"`
	Kind          string `bun:"kind"`
	Subject       string `bun:"subject"`
	Message       string `bun:"message"`
}

func (r *eventRow) noun() *shield.Event {
	return &shield.Event{ID: r.ID, At: r.At.Time, Kind: shield.EventKind(r.Kind), Subject: r.Subject, Message: r.Message}
}

func eventToRow(e *shield.Event) *eventRow {
	return &eventRow{At: stampOf(e.At), Kind: string(e.Kind), Subject: e.Subject, Message: clean(e.Message)}
}

// RecordEvent implements shield.EventService. It sets the ID and, unless
// given, the time.
func (db *DB) RecordEvent(ctx context.Context, e *shield.Event) error {
	made := *e
	err := db.write(ctx, "catalog.RecordEvent", func(ctx context.Context, tx bun.Tx) error {
		made = *e
		return recordEvent(ctx, tx, &made)
	})
	if err == nil {
		*e = made
	}
	return err
}

func recordEvent(ctx context.Context, tx bun.Tx, e *shield.Event) error {
	if e.Kind == "" {
		return shield.FieldErrorf("kind", "is missing: what kind of event it is, like %q, is wanted", shield.EventTaskEnded)
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.At, e.Message = whole(e.At), clean(e.Message)
	row := eventToRow(e)
	err := insert(ctx, tx, row)
	e.ID = row.ID
	return err
}

// Events implements shield.EventService. The newest comes first, unless
// those since one are wanted; of the filter, After, Before, Since and Limit
// count.
func (db *DB) Events(ctx context.Context, f shield.Filter) ([]*shield.Event, error) {
	var rows []*eventRow
	err := db.read(ctx, "catalog.Events", func(ctx context.Context, q bun.IDB) error {
		return eventsQuery(q, &rows, f).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, (*eventRow).noun), nil
}

func eventsQuery(db bun.IDB, model any, f shield.Filter) *bun.SelectQuery {
	q := between(db.NewSelect().Model(model), "at", f.After, f.Before)
	if f.Since != nil {
		return limited(q.Where("?TableAlias.id > ?", *f.Since).OrderExpr("?TableAlias.id"), f)
	}
	return sorted(q, f, eventOrder)
}
