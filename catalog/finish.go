package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// FinishTask implements shield.TaskLedger. The run of the task ends with it
// and the events that say so are recorded, all in the one transaction. An
// outcome with RetryAt makes the task pending again, keeps its error, and
// ends nothing. An empty log keeps what is stored.
//
// A purge that is done and names no archive has purged the task's own. What
// the tasks of Then name by UUID must exist.
func (db *DB) FinishTask(ctx context.Context, uuid string, l shield.Lease, o shield.Outcome) error {
	if o.StoppedAt.IsZero() {
		o.StoppedAt = time.Now()
	}
	var made *shield.Archive
	err := db.write(ctx, "catalog.FinishTask", func(ctx context.Context, tx bun.Tx) error {
		t, err := leasedTask(ctx, tx, uuid, l)
		if err != nil {
			return err
		}
		if err := checkOutcome(t, o); err != nil {
			return err
		}
		for _, then := range o.Then {
			if _, err := createTask(ctx, tx, *then); err != nil {
				return err
			}
		}
		if !o.RetryAt.IsZero() {
			return retryTask(ctx, tx, t, o)
		}
		if made, err = applyDone(ctx, tx, t, o); err != nil {
			return err
		}
		if err := spareArchive(ctx, tx, t, o); err != nil {
			return err
		}
		return endTask(ctx, tx, t, o)
	})
	if err == nil && made != nil {
		*o.Archive = *made
	}
	return err
}

func checkOutcome(t *shield.Task, o shield.Outcome) error {
	if !o.Status.Final() || !shield.CanMove(shield.TaskRunning, o.Status) {
		return shield.FieldErrorf("status", "is %.100q: a running task ends as done, failed or canceled", o.Status)
	}
	if !o.RetryAt.IsZero() && o.Status != shield.TaskFailed {
		return shield.FieldErrorf("retry_at", "is set for a task that is %s: only a failed one is tried again", o.Status)
	}
	if o.RetryArchive != "" && !shield.IsUUID(o.RetryArchive) {
		return shield.FieldErrorf("retry_archive", "is %.100q: the UUID of what the next attempt makes is wanted", o.RetryArchive)
	}
	if o.Status != shield.TaskDone {
		return nil
	}
	if t.Op == shield.OpBackup && o.Archive == nil {
		return shield.FieldErrorf("archive", "is missing: a backup that is done has made one")
	}
	return nil
}

// setEnd are the columns that every outcome writes.
func setEnd(t *shield.Task, q *bun.UpdateQuery, o shield.Outcome) *bun.UpdateQuery {
	q = q.Table("tasks").
		Set("error_code = ?", clean(string(o.Code))).Set("error = ?", clean(o.Error)).
		Set("raw_bytes = ?", o.Progress.RawBytes).Set("stored_bytes = ?", o.Progress.StoredBytes).
		Set("rate = ?", o.Progress.Rate).Set("total_bytes = ?", o.Progress.TotalBytes).
		Set("lease_expires = NULL").
		Where("uuid = ?", t.UUID)
	if o.Findings != nil {
		q = q.Set("findings = ?", document[*shield.Findings]{o.Findings})
	}
	if o.Log != "" {
		q = q.Set("log = ?", clean(o.Log))
	}
	return q
}

// retryTask keeps the epoch: the next claim must get a new one.
func retryTask(ctx context.Context, tx bun.Tx, t *shield.Task, o shield.Outcome) error {
	_, err := setEnd(t, tx.NewUpdate(), o).
		Set("archive_uuid = ?", cmp.Or(o.RetryArchive, t.Archive)).Set("restore_key = ?", clean(cmp.Or(o.RetryKey, t.Key))).
		Set("status = ?", string(shield.TaskPending)).Set("not_before = ?", floorMilli(o.RetryAt)).
		Set("lease_owner = ''").Set("started_at = NULL").Set("timeout_at = NULL").Exec(ctx)
	return err
}

// endTask writes a final outcome, ends the run and records the event.
func endTask(ctx context.Context, tx bun.Tx, t *shield.Task, o shield.Outcome) error {
	_, err := setEnd(t, tx.NewUpdate(), o).
		Set("status = ?", string(o.Status)).Set("stopped_at = ?", floorMilli(o.StoppedAt)).Exec(ctx)
	if err != nil {
		return err
	}
	if err := endRunOf(ctx, tx, t.UUID, o); err != nil {
		return err
	}
	return recordEvent(ctx, tx, &shield.Event{
		At: o.StoppedAt, Kind: shield.EventTaskEnded, Subject: t.UUID, Message: describeEnd(t, o),
	})
}

// describeEnd shortens the error: the task has all of it.
func describeEnd(t *shield.Task, o shield.Outcome) string {
	text := string(t.Op)
	if t.TargetName != "" {
		text += " of target " + t.TargetName
	}
	if t.StoreName != "" {
		text += " with store " + t.StoreName
	}
	text += " is " + string(o.Status)
	if o.Error != "" {
		text += fmt.Sprintf(": %.500s", o.Error)
	}
	return text
}

// applyDone writes what a task that is done has changed, and returns the
// archive it made, if it made one.
func applyDone(ctx context.Context, tx bun.Tx, t *shield.Task, o shield.Outcome) (*shield.Archive, error) {
	switch {
	case o.Status != shield.TaskDone:
		return nil, nil
	case t.Op == shield.OpBackup:
		return insertArchive(ctx, tx, t, *o.Archive, o.StoppedAt)
	case t.Op == shield.OpPurge:
		return nil, purgeArchive(ctx, tx, t, o)
	case t.Op == shield.OpReconcile:
		return nil, applyReconciled(ctx, tx, t, o)
	}
	return nil, nil
}

func insertArchive(ctx context.Context, tx bun.Tx, t *shield.Task, a shield.Archive, at time.Time) (*shield.Archive, error) {
	completeArchive(&a, t, at)
	a.Version = 1
	if err := checkArchive(ctx, tx, t, &a); err != nil {
		return nil, err
	}
	if _, err := tx.Tx.ExecContext(ctx, reviewSoon, floorMilli(at), a.Target); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, archiveToRow(&a)); err != nil {
		return nil, err
	}
	if err := noteSuccess(ctx, tx, &a); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("archive of target %s made in store %s: %d bytes, %d stored", a.TargetName, a.StoreName, a.RawSize, a.StoredSize)
	made := &shield.Event{At: at, Kind: shield.EventArchiveMade, Subject: a.UUID, Message: text}
	if err := recordEvent(ctx, tx, made); err != nil || a.Suspicion == "" {
		return &a, err
	}
	text = fmt.Sprintf("archive of target %s in store %s is suspicious: it %s; nothing of its job is purged until it is acknowledged or deleted", a.TargetName, a.StoreName, a.Suspicion)
	return &a, recordEvent(ctx, tx, &shield.Event{At: at, Kind: shield.EventArchiveSuspicious, Subject: a.UUID, Message: text})
}

// reviewSoon has the archives of a target looked at again: what was kept for
// being among the newest is so no more.
const reviewSoon = "UPDATE reviews SET due_at = min(due_at, ?), version = version + 1 WHERE target_uuid = ?"

// completeArchive takes from the task what the runner left out. What the task
// says of target, store and job always holds: a runner cannot move an archive.
func completeArchive(a *shield.Archive, t *shield.Task, at time.Time) {
	a.Target, a.TargetName, a.Store, a.StoreName, a.Job = t.Target, t.TargetName, t.Store, t.StoreName, t.Job
	if a.UUID == "" {
		a.UUID = t.Archive
	}
	if a.Status == "" {
		a.Status = shield.ArchiveValid
	}
	if a.TakenAt.IsZero() {
		a.TakenAt = at
	}
	if a.ExpiresAt.IsZero() && t.Retention > 0 {
		a.ExpiresAt = a.TakenAt.Add(time.Duration(t.Retention) * time.Second)
	}
	a.TakenAt, a.ExpiresAt = whole(a.TakenAt), whole(a.ExpiresAt)
}

func checkArchive(ctx context.Context, tx bun.Tx, t *shield.Task, a *shield.Archive) error {
	if a.UUID != t.Archive || !shield.IsUUID(a.UUID) {
		return shield.FieldErrorf("archive_uuid", "is %.100q: the task was to make %q", a.UUID, t.Archive)
	}
	if a.Key == "" {
		return shield.FieldErrorf("store_key", "is missing: without it the archive cannot be found again")
	}
	if a.Status != shield.ArchiveValid {
		return shield.FieldErrorf("status", "is %.100q: a backup that is done makes a valid archive", a.Status)
	}
	taken, err := tx.NewSelect().Table("archives").Where("uuid = ?", a.UUID).Exists(ctx)
	if err == nil && taken {
		return &shield.Error{Code: shield.Conflict, Field: "archive_uuid", Message: fmt.Sprintf("an archive with the uuid %q exists already", a.UUID)}
	}
	if err != nil {
		return err
	}
	return checkOwn(ctx, tx, t.Store, a)
}

// checkOwn refuses an archive that says of another's blob or seal that it is its
// own: to purge it, or to restore it, would be to purge or to open the other.
func checkOwn(ctx context.Context, tx bun.Tx, store string, a *shield.Archive) error {
	for _, key := range []string{a.Key, a.ManifestKey} {
		owner, err := keyOwner(ctx, tx, store, key)
		if err != nil {
			return err
		}
		if owner != "" {
			return shield.FieldErrorf("store_key", "%.300q is what archive %s has in this store", key, owner)
		}
	}
	if a.Seal == "" {
		return nil
	}
	taken, err := tx.NewSelect().Table("archives").Where("seal <> ''").Where("seal = ?", a.Seal).Exists(ctx)
	if err == nil && taken {
		return shield.FieldErrorf("seal", "is that of another archive")
	}
	return err
}

// keyOwner returns the archive, not purged, that has a key in a store; empty if
// none has.
func keyOwner(ctx context.Context, q bun.IDB, store, key string) (owner string, err error) {
	if key == "" || !isText(key) {
		return "", nil
	}
	err = q.NewRaw(keyOwnerSQL, store, key, store, key).Scan(ctx, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return owner, err
}

const keyOwnerSQL = `SELECT uuid FROM archives INDEXED BY archives_key WHERE store_uuid = ? AND store_key = ? AND status <> 'purged'
UNION ALL SELECT uuid FROM archives INDEXED BY archives_manifest WHERE store_uuid = ? AND manifest_key = ? AND status <> 'purged' LIMIT 1`

// KeyOwner implements shield.ArchiveService.
func (db *DB) KeyOwner(ctx context.Context, store, key string) (owner string, err error) {
	err = db.read(ctx, "catalog.KeyOwner", func(ctx context.Context, q bun.IDB) error {
		owner, err = keyOwner(ctx, q, store, key)
		return err
	})
	return owner, err
}

// spareArchive makes an archive valid again whose purge did not begin.
func spareArchive(ctx context.Context, tx bun.Tx, t *shield.Task, o shield.Outcome) error {
	if !o.Spared || o.Status != shield.TaskCanceled || t.Op != shield.OpPurge {
		return nil
	}
	a, err := findArchive(ctx, tx, t.Archive)
	if err != nil || a.Status != shield.ArchiveExpired {
		return err
	}
	a.Status, a.PurgeReason = shield.ArchiveValid, ""
	return changeArchive(ctx, tx, a)
}

// purgeReason adds to a reason that there was nothing to remove.
func purgeReason(reason string, t *shield.Task, o shield.Outcome) string {
	if !o.Absent {
		return reason
	}
	text := "the store had no blob under its key"
	if t.Attempts > 1 {
		text += ", which an earlier try may have removed"
	}
	if reason == "" {
		return text
	}
	return reason + "; " + text
}

// purgeArchive marks what a purge removed. The task's own archive may be
// unknown: a purge also removes what a failed backup left behind.
func purgeArchive(ctx context.Context, tx bun.Tx, t *shield.Task, o shield.Outcome) error {
	uuid := o.PurgedArchive
	if uuid == "" {
		uuid = t.Archive
	}
	a, err := findArchive(ctx, tx, uuid)
	if shield.CodeOf(err) == shield.NotFound && o.PurgedArchive == "" {
		return nil
	}
	if shield.CodeOf(err) == shield.NotFound {
		return shield.FieldErrorf("archive_uuid", "%.100q does not exist: the UUID of the purged archive is wanted", uuid)
	}
	if err != nil || a.Status == shield.ArchivePurged {
		return err
	}
	a.Status, a.PurgeReason = shield.ArchivePurged, purgeReason(a.PurgeReason, t, o)
	if err := changeArchive(ctx, tx, a); err != nil {
		return err
	}
	return recordPurge(ctx, tx, a, o.StoppedAt)
}
