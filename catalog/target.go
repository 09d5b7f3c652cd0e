package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type targetRow struct {
	bun.BaseModel `bun:"table:targets,alias:n"`
	metaRow
	Plugin   string `bun:"plugin"`
	Agent    string `bun:"agent"`
	Endpoint string `bun:"endpoint"`
	MaxTasks int    `bun:"max_tasks"`
	Scratch  bool   `bun:"scratch"`
}

func targetToRow(t *shield.Target) *targetRow {
	return &targetRow{metaRow: metaToRow(t.Meta), Plugin: t.Plugin, Agent: t.Agent, Endpoint: string(t.Endpoint), MaxTasks: t.MaxTasks, Scratch: t.Scratch}
}

func (r *targetRow) noun() *shield.Target {
	return &shield.Target{Meta: r.meta(), Plugin: r.Plugin, Agent: r.Agent, Endpoint: shield.Endpoint(r.Endpoint), MaxTasks: r.MaxTasks, Scratch: r.Scratch}
}

func targets() noun[shield.Target, targetRow] {
	return noun[shield.Target, targetRow]{
		name: "target", title: "Target", table: "targets", jobs: "target_uuid",
		validate: (*shield.Target).Validate,
		meta:     func(t *shield.Target) *shield.Meta { return &t.Meta },
		row:      targetToRow,
		noun:     (*targetRow).noun,
		filter:   pluginFilter,
		users: func(ctx context.Context, tx bun.Tx, uuid string) ([]string, error) {
			return usersOf(ctx, tx, "target_uuid", "target_held", uuid)
		},
		leave: func(ctx context.Context, tx bun.Tx, t *shield.Target) error {
			return keepName(ctx, tx, "target", t.Meta)
		},
	}
}

func pluginFilter(q *bun.SelectQuery, f shield.Filter) *bun.SelectQuery {
	return equal(q, "plugin", f.Plugin)
}

// keepName leaves the last name of what is deleted in its archives, all of
// them purged.
func keepName(ctx context.Context, tx bun.Tx, what string, m shield.Meta) error {
	_, err := tx.NewUpdate().Table("archives").
		Set("? = ?", bun.Ident(what+"_name"), m.Name).Where("? = ?", bun.Ident(what+"_uuid"), m.UUID).Exec(ctx)
	return err
}

// CreateTarget implements shield.TargetService.
func (db *DB) CreateTarget(ctx context.Context, t *shield.Target) error {
	return targets().create(ctx, db, t)
}

// Target implements shield.TargetService.
func (db *DB) Target(ctx context.Context, ref string) (*shield.Target, error) {
	return targets().get(ctx, db, ref)
}

// Targets implements shield.TargetService. They are ordered by name.
func (db *DB) Targets(ctx context.Context, f shield.Filter) ([]*shield.Target, error) {
	return targets().list(ctx, db, f)
}

// UpdateTarget implements shield.TargetService.
func (db *DB) UpdateTarget(ctx context.Context, t *shield.Target) error {
	return targets().update(ctx, db, t)
}

// DeleteTarget implements shield.TargetService. A target is in use while a
// job, an archive that is not purged, or a task that has not ended refers to
// it. Purged archives and ended tasks keep its UUID and last name.
func (db *DB) DeleteTarget(ctx context.Context, ref string) error {
	return targets().remove(ctx, db, ref)
}
