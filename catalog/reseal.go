package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// A Resealer returns an endpoint of a row with its secrets sealed as they should
// be, and whether that changed it.
type Resealer func(row string, e shield.Endpoint) (shield.Endpoint, bool, error)

// endpointColumns are all columns that keep endpoints, and those that have the
// UUIDs which they are sealed for.
var endpointColumns = []struct{ table, column, row string }{
	{"targets", "endpoint", "uuid"}, {"stores", "endpoint", "uuid"},
	{"tasks", "target_endpoint", "target_uuid"}, {"tasks", "store_endpoint", "store_uuid"},
}

// resealBatch is how many rows one transaction changes.
const resealBatch = 200

// Reseal changes the secrets of all endpoints, a few at a time, while others
// work with the catalog, and returns how many it has changed. An endpoint that
// somebody else changes meanwhile is left to that change. Versions stay as they
// are: what an endpoint means does not change.
func (db *DB) Reseal(ctx context.Context, reseal Resealer) (int, error) {
	total := 0
	for _, c := range endpointColumns {
		for behind := int64(0); ; {
			rows, err := db.sealedBehind(ctx, c.table, c.column, c.row, behind)
			if err != nil {
				return total, err
			}
			if len(rows) == 0 {
				break
			}
			n, err := db.resealBatch(ctx, c.table, c.column, rows, reseal)
			total += n
			if err != nil {
				return total, err
			}
			behind = rows[len(rows)-1].ID
		}
	}
	return total, nil
}

// A sealedRow is a row with an endpoint that has sealed secrets.
type sealedRow struct {
	ID       int64  `bun:"id"`
	Row      string `bun:"row"`
	Endpoint string `bun:"endpoint"`
}

func (db *DB) sealedBehind(ctx context.Context, table, column, row string, behind int64) (rows []sealedRow, err error) {
	err = db.read(ctx, "catalog.Reseal", func(ctx context.Context, q bun.IDB) error {
		rows = nil
		return q.NewSelect().Table(table).ColumnExpr("id, ? AS row, ? AS endpoint", bun.Ident(row), bun.Ident(column)).
			Where("id > ?", behind).Where("? LIKE ?", bun.Ident(column), `%"$sealed"%`).
			OrderExpr("id").Limit(resealBatch).Scan(ctx, &rows)
	})
	return rows, err
}

func (db *DB) resealBatch(ctx context.Context, table, column string, rows []sealedRow, reseal Resealer) (int, error) {
	fresh := map[int64]string{}
	for _, r := range rows {
		e, changed, err := reseal(r.Row, shield.Endpoint(r.Endpoint))
		if err != nil {
			return 0, err
		}
		if changed {
			fresh[r.ID] = string(e)
		}
	}
	if len(fresh) == 0 {
		return 0, nil
	}
	changed := 0
	err := db.write(ctx, "catalog.Reseal", func(ctx context.Context, tx bun.Tx) error {
		changed = 0
		for _, r := range rows {
			e, ok := fresh[r.ID]
			if !ok {
				continue
			}
			res, err := tx.NewUpdate().Table(table).Set("? = ?", bun.Ident(column), e).
				Where("id = ?", r.ID).Where("? = ?", bun.Ident(column), r.Endpoint).Exec(ctx)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			changed += int(n)
		}
		return nil
	})
	return changed, err
}
