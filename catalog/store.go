package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type storeRow struct {
	bun.BaseModel `bun:"table:stores,alias:n"`
	metaRow
	Plugin   string                 `bun:"plugin"`
	Endpoint string                 `bun:"endpoint"`
	Limit    document[shield.Limit] `bun:"rate_limit"`
	MaxTasks int                    `bun:"max_tasks"`
	Agent    string                 `bun:"agent"`
}

func storeToRow(s *shield.Store) *storeRow {
	return &storeRow{
		metaRow: metaToRow(s.Meta), Plugin: s.Plugin, Endpoint: string(s.Endpoint),
		Limit: document[shield.Limit]{s.Limit}, MaxTasks: s.MaxTasks, Agent: s.Agent,
	}
}

func (r *storeRow) noun() *shield.Store {
	return &shield.Store{Meta: r.meta(), Plugin: r.Plugin, Endpoint: shield.Endpoint(r.Endpoint), Limit: r.Limit.V, MaxTasks: r.MaxTasks, Agent: r.Agent}
}

func stores() noun[shield.Store, storeRow] {
	return noun[shield.Store, storeRow]{
		name: "store", title: "Store", table: "stores", jobs: "store_uuid",
		validate: (*shield.Store).Validate,
		meta:     func(s *shield.Store) *shield.Meta { return &s.Meta },
		row:      storeToRow,
		noun:     (*storeRow).noun,
		filter:   pluginFilter,
		users: func(ctx context.Context, tx bun.Tx, uuid string) ([]string, error) {
			return usersOf(ctx, tx, "store_uuid", "store_held", uuid)
		},
		leave: func(ctx context.Context, tx bun.Tx, s *shield.Store) error {
			return keepName(ctx, tx, "store", s.Meta)
		},
	}
}

// CreateStore implements shield.StoreService.
func (db *DB) CreateStore(ctx context.Context, s *shield.Store) error {
	return stores().create(ctx, db, s)
}

// Store implements shield.StoreService.
func (db *DB) Store(ctx context.Context, ref string) (*shield.Store, error) {
	return stores().get(ctx, db, ref)
}

// Stores implements shield.StoreService. They are ordered by name.
func (db *DB) Stores(ctx context.Context, f shield.Filter) ([]*shield.Store, error) {
	return stores().list(ctx, db, f)
}

// UpdateStore implements shield.StoreService.
func (db *DB) UpdateStore(ctx context.Context, s *shield.Store) error {
	return stores().update(ctx, db, s)
}

// DeleteStore implements shield.StoreService. A store is in use while a job,
// an archive that is not purged, or a task that has not ended refers to it.
func (db *DB) DeleteStore(ctx context.Context, ref string) error {
	return stores().remove(ctx, db, ref)
}
