package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// CreateTask implements shield.TaskService. It sets a UUID, the status
// pending and, unless given, the time of the request. What the task names by
// UUID must exist; names that are empty are filled in.
func (db *DB) CreateTask(ctx context.Context, t *shield.Task) error {
	made := *t
	err := db.write(ctx, "catalog.CreateTask", func(ctx context.Context, tx bun.Tx) (err error) {
		made, err = createTask(ctx, tx, *t)
		return err
	})
	if err == nil {
		*t = made
	}
	return err
}

func createTask(ctx context.Context, tx bun.Tx, t shield.Task) (shield.Task, error) {
	if err := checkTask(&t); err != nil {
		return t, err
	}
	if err := resolveTask(ctx, tx, &t); err != nil {
		return t, err
	}
	id, err := newUUID(t.UUID)
	if err != nil {
		return t, err
	}
	if err := checkTaskFree(ctx, tx, id); err != nil {
		return t, err
	}
	t.UUID = id
	makePending(&t)
	aboutTask(ctx, &t)
	row, err := taskToRow(&t)
	if err != nil {
		return t, err
	}
	return t, insert(ctx, tx, row)
}

// aboutTask tells the audit log what somebody has asked for.
func aboutTask(ctx context.Context, t *shield.Task) {
	about := string(t.Op) + " task " + t.UUID
	for _, part := range [][2]string{{"job", t.JobName}, {"archive", t.Archive}, {"target", t.TargetName}, {"store", t.StoreName}} {
		if part[1] != "" {
			about += ", " + part[0] + " " + part[1]
		}
	}
	shield.DeedOf(ctx).About(about)
}

func checkTask(t *shield.Task) error {
	if t.Status != "" && t.Status != shield.TaskPending {
		return shield.FieldErrorf("status", "is %.100q: a task is made pending", t.Status)
	}
	if t.Priority < 0 || t.Priority > 100 {
		return shield.FieldErrorf("priority", "is %d: 0 (first) to 100 (last) are allowed", t.Priority)
	}
	if t.Timeout < 0 || t.Retention < 0 {
		return shield.FieldErrorf("timeout", "is %d seconds and the retention %d: neither can be negative", t.Timeout, t.Retention)
	}
	if t.IdleTimeout < 0 || t.MaxAttempts < 0 || t.Backoff < 0 {
		return shield.FieldErrorf("idle_timeout", "is %d seconds, with %d attempts and a backoff of %d seconds: none of them can be negative", t.IdleTimeout, t.MaxAttempts, t.Backoff)
	}
	if t.Op == shield.OpBackup && (t.Target == "" || t.Store == "") {
		return shield.FieldErrorf("target_uuid", "or store_uuid is missing: an archive belongs to a target and a store")
	}
	return t.Validate()
}

// makePending clears what only a claim may set.
func makePending(t *shield.Task) {
	if t.RequestedAt.IsZero() {
		t.RequestedAt = time.Now()
	}
	t.Status = shield.TaskPending
	t.RequestedAt, t.NotBefore = whole(t.RequestedAt), whole(t.NotBefore)
	t.StartedAt, t.StoppedAt, t.TimeoutAt, t.LeaseExpires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	t.LeaseOwner, t.LeaseEpoch, t.Attempts = "", 0, 0
}

// resolveTask checks, in the task's transaction, that what it names is there:
// from then on it is in use and cannot be deleted.
func resolveTask(ctx context.Context, tx bun.Tx, t *shield.Task) error {
	for _, r := range []struct {
		field, table, uuid string
		name               *string
	}{
		{"job_uuid", "jobs", t.Job, &t.JobName},
		{"target_uuid", "targets", t.Target, &t.TargetName},
		{"store_uuid", "stores", t.Store, &t.StoreName},
	} {
		if r.uuid == "" {
			continue
		}
		var row metaRow
		q := tx.NewSelect().Model(&row).ModelTableExpr("? AS meta_row", bun.Ident(r.table))
		found, err := findBy(ctx, q, "uuid", r.uuid)
		if err != nil {
			return err
		}
		if !found {
			return shield.FieldErrorf(r.field, "%.100q does not exist: a UUID in %s is wanted", r.uuid, r.table)
		}
		if *r.name == "" {
			*r.name = row.Name
		}
	}
	return nil
}

func checkTaskFree(ctx context.Context, tx bun.Tx, uuid string) error {
	taken, err := tx.NewSelect().Table("tasks").Where("uuid = ?", uuid).Exists(ctx)
	if err == nil && taken {
		return &shield.Error{Code: shield.Conflict, Field: "uuid", Message: fmt.Sprintf("a task with the uuid %q exists already", uuid)}
	}
	return err
}

func findTask(ctx context.Context, q *bun.SelectQuery, row *taskRow, uuid string) (*shield.Task, error) {
	found, err := findBy(ctx, q, "uuid", uuid)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("task", uuid)
	}
	return row.noun()
}

// Task implements shield.TaskService.
func (db *DB) Task(ctx context.Context, uuid string) (*shield.Task, error) {
	var t *shield.Task
	err := db.read(ctx, "catalog.Task", func(ctx context.Context, q bun.IDB) (err error) {
		var row taskRow
		t, err = findTask(ctx, q.NewSelect().Model(&row), &row, uuid)
		return err
	})
	return t, err
}

// Tasks implements shield.TaskService. The newest request comes first. Logs
// are big and are left out: Task has them.
func (db *DB) Tasks(ctx context.Context, f shield.Filter) ([]*shield.Task, error) {
	var rows []*taskRow
	tasks := []*shield.Task{}
	err := db.read(ctx, "catalog.Tasks", func(ctx context.Context, q bun.IDB) (err error) {
		if !askable(f) {
			return nil
		}
		if err := tasksQuery(q, &rows, f).Scan(ctx); err != nil {
			return err
		}
		tasks, err = tasksOf(rows)
		return err
	})
	return tasks, err
}

func tasksQuery(db bun.IDB, model any, f shield.Filter) *bun.SelectQuery {
	q := db.NewSelect().Model(model).ExcludeColumn("log")
	if f.Job != "" && slices.Equal(f.Statuses, []string{string(shield.TaskPending), string(shield.TaskRunning)}) {
		q = q.ModelTableExpr("tasks AS n INDEXED BY tasks_open_job") // SQLite would rather read all that the job ever did
	}
	q = equal(q, "job_uuid", f.Job)
	q = equal(q, "target_uuid", f.Target)
	q = equal(q, "store_uuid", f.Store)
	q = equal(q, "archive_uuid", f.Archive)
	q = equal(q, "op", string(f.Op))
	q = anyStatus(q, f.Statuses)
	q = between(q, "requested_at", f.After, f.Before)
	return sorted(q, f, taskOrder)
}

// CancelPending implements shield.TaskService. The run of the task, if it has
// one, ends as failed.
func (db *DB) CancelPending(ctx context.Context, uuid, reason string, now time.Time) error {
	return db.write(ctx, "catalog.CancelPending", func(ctx context.Context, tx bun.Tx) error {
		var row taskRow
		t, err := findTask(ctx, tx.NewSelect().Model(&row).ExcludeColumn("log"), &row, uuid)
		if err != nil {
			return err
		}
		if t.Status != shield.TaskPending {
			return &shield.Error{Code: shield.Conflict, Field: "status", Message: fmt.Sprintf("task %s is %s: only a pending one can be canceled here", uuid, t.Status)}
		}
		return endTask(ctx, tx, t, shield.Outcome{
			Status: shield.TaskCanceled, StoppedAt: now, Code: shield.Canceled, Error: reason, Progress: t.Progress,
		})
	})
}
