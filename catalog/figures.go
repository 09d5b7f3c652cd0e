package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// Figures implements shield.FigureService.
func (db *DB) Figures(ctx context.Context) (*shield.Figures, error) {
	f := &shield.Figures{Tasks: []shield.TaskFigure{}, Archives: []shield.ArchiveFigure{}}
	err := db.read(ctx, "catalog.Figures", func(ctx context.Context, q bun.IDB) error {
		err := q.NewSelect().Table("tasks").
			ColumnExpr("op, status, count(*) AS count, coalesce(sum((stopped_at - started_at) / 1000.0), 0.0) AS seconds").
			GroupExpr("op, status").OrderExpr("op, status").Scan(ctx, &f.Tasks)
		if err != nil {
			return err
		}
		return q.NewSelect().Table("archives").
			ColumnExpr("status, count(*) AS count, sum(raw_size) AS raw_bytes, sum(stored_size) AS stored_bytes").
			GroupExpr("status").OrderExpr("status").Scan(ctx, &f.Archives)
	})
	return f, err
}
