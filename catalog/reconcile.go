package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// Inventory implements shield.ArchiveService. Tasks are read before archives:
// a backup that ends between the two is in one of them.
func (db *DB) Inventory(ctx context.Context, store string) (*shield.Inventory, error) {
	v := &shield.Inventory{Open: map[string]bool{}, Tried: map[string]bool{}}
	err := db.read(ctx, "catalog.Inventory", func(ctx context.Context, q bun.IDB) error { return taskKeys(ctx, q, store, v) })
	if err != nil {
		return nil, err
	}
	err = db.read(ctx, "catalog.Inventory", func(ctx context.Context, q bun.IDB) error {
		v.Held = nil
		return holdings(ctx, q, store, v)
	})
	return v, err
}

// taskKeys reads what tasks with a store write or remove, and what they were to
// make.
func taskKeys(ctx context.Context, q bun.IDB, store string, v *shield.Inventory) error {
	rows, err := q.NewSelect().Table("tasks").Column("op", "status", "archive_uuid", "restore_key", "manifest_key").
		Where("store_uuid = ?", store).Rows(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var op shield.Op
		var status shield.TaskStatus
		var archive, key, manifest string
		if err := rows.Scan(&op, &status, &archive, &key, &manifest); err != nil {
			return err
		}
		switch {
		case !status.Final() && key != "":
			v.Open[key], v.Open[key+shield.ManifestSuffix], v.Open[manifest] = true, true, true
		case op == shield.OpBackup && status.Final():
			v.Tried[archive] = true
		}
	}
	return rows.Err()
}

func holdings(ctx context.Context, q bun.IDB, store string, v *shield.Inventory) error {
	rows, err := q.NewSelect().Table("archives").Column("uuid", "store_key", "manifest_key", "status", "stored_size").
		ColumnExpr("missing_at IS NOT NULL").Where("store_held = ?", store).Rows(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var h shield.Holding
		if err := rows.Scan(&h.Archive, &h.Key, &h.ManifestKey, &h.Status, &h.Size, &h.Missing); err != nil {
			return err
		}
		v.Held = append(v.Held, h)
	}
	return rows.Err()
}

// applyReconciled marks archives that are missing, and those that are there
// again, unless they have become something else meanwhile. It records what the
// reconciliation came to.
func applyReconciled(ctx context.Context, tx bun.Tx, t *shield.Task, o shield.Outcome) error {
	for _, uuid := range o.Missing {
		if err := markMissing(ctx, tx, t, uuid, o); err != nil {
			return err
		}
	}
	for _, uuid := range o.Found {
		if err := markFound(ctx, tx, t, uuid, o); err != nil {
			return err
		}
	}
	if o.Findings == nil || o.Findings.Reconciliation == nil {
		return nil
	}
	text := fmt.Sprintf("store %s reconciled: %s", t.StoreName, o.Findings.Reconciliation)
	return recordEvent(ctx, tx, &shield.Event{At: o.StoppedAt, Kind: shield.EventStoreReconciled, Subject: t.Store, Message: text})
}

func markMissing(ctx context.Context, tx bun.Tx, t *shield.Task, uuid string, o shield.Outcome) error {
	a, err := findArchive(ctx, tx, uuid)
	if err != nil || a.Status != shield.ArchiveValid || a.Store != t.Store {
		return err
	}
	a.Status, a.MissingAt = shield.ArchiveInvalid, whole(o.StoppedAt)
	if err := changeArchive(ctx, tx, a); err != nil {
		return err
	}
	text := fmt.Sprintf("archive of target %s is missing in store %s, which has no %s", a.TargetName, a.StoreName, a.Key)
	return recordEvent(ctx, tx, &shield.Event{At: o.StoppedAt, Kind: shield.EventArchiveMissing, Subject: a.UUID, Message: text})
}

func markFound(ctx context.Context, tx bun.Tx, t *shield.Task, uuid string, o shield.Outcome) error {
	a, err := findArchive(ctx, tx, uuid)
	if err != nil || a.Status != shield.ArchiveInvalid || a.MissingAt.IsZero() || a.Store != t.Store {
		return err
	}
	text := fmt.Sprintf("archive of target %s, missing in store %s since %s, is there again", a.TargetName, a.StoreName, a.MissingAt.Format("2006-01-02 15:04:05Z"))
	a.Status, a.MissingAt = shield.ArchiveValid, time.Time{}
	if err := changeArchive(ctx, tx, a); err != nil {
		return err
	}
	return recordEvent(ctx, tx, &shield.Event{At: o.StoppedAt, Kind: shield.EventArchiveFound, Subject: a.UUID, Message: text})
}
