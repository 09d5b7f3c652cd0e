package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type runRow struct {
	bun.BaseModel `bun:"table:runs,alias:n"`
	ID            int64  `bun:"id,pk,autoincrement"`
	UUID          string `bun:"uuid"`
	Job           string `bun:"job_uuid"`
	DueAt         stamp  `bun:"due_at"`
	Task          string `bun:"task_uuid"`
	Status        string `bun:"status"`
	Reason        string `bun:"reason"`
}

func runToRow(r *shield.Run) *runRow {
	return &runRow{UUID: r.UUID, Job: r.Job, DueAt: stampOf(r.DueAt), Task: r.Task, Status: string(r.Status), Reason: r.Reason}
}

func (r *runRow) noun() *shield.Run {
	return &shield.Run{UUID: r.UUID, Job: r.Job, DueAt: r.DueAt.Time, Task: r.Task, Status: shield.RunStatus(r.Status), Reason: r.Reason}
}

// RecordRun implements shield.RunService. A run is due unless it is recorded
// as missed or skipped at once. Its job must exist.
func (db *DB) RecordRun(ctx context.Context, r *shield.Run) error {
	made := *r
	err := db.write(ctx, "catalog.RecordRun", func(ctx context.Context, tx bun.Tx) error {
		made = *r
		return recordRun(ctx, tx, &made)
	})
	if err == nil {
		*r = made
	}
	return err
}

func recordRun(ctx context.Context, tx bun.Tx, r *shield.Run) (err error) {
	if r.UUID, err = newUUID(r.UUID); err != nil {
		return err
	}
	if r.Status == "" {
		r.Status = shield.RunDue
	}
	r.DueAt, r.Reason = whole(r.DueAt), clean(r.Reason)
	if err := checkRun(ctx, tx, r); err != nil {
		return err
	}
	return insert(ctx, tx, runToRow(r))
}

// checkNewRun checks what needs no catalog.
func checkNewRun(r *shield.Run) error {
	switch r.Status {
	case shield.RunDue, shield.RunMissed, shield.RunSkipped:
	default:
		return shield.FieldErrorf("status", "is %.100q: a run without a task is due, missed or skipped", r.Status)
	}
	if r.Task != "" {
		return shield.FieldErrorf("task_uuid", "is %.100q: a run gets its task when it is started", r.Task)
	}
	if r.DueAt.IsZero() {
		return shield.FieldErrorf("due_at", "is missing: a run is due at some time")
	}
	return nil
}

func checkRun(ctx context.Context, tx bun.Tx, r *shield.Run) error {
	if err := checkNewRun(r); err != nil {
		return err
	}
	if _, err := jobs().find(ctx, tx, r.Job); err != nil || !shield.IsUUID(r.Job) {
		return noJob(r.Job, err)
	}
	taken, err := tx.NewSelect().Table("runs").
		Where("job_uuid = ? AND due_at = ? OR uuid = ?", r.Job, r.DueAt.UnixMilli(), r.UUID).Exists(ctx)
	if err == nil && taken {
		return &shield.Error{Code: shield.Conflict, Field: "due_at", Message: fmt.Sprintf("the run of job %s due at %s is recorded already", r.Job, r.DueAt)}
	}
	return err
}

func noJob(ref string, err error) error {
	if err == nil || shield.CodeOf(err) == shield.NotFound {
		return shield.FieldErrorf("job_uuid", "%.100q does not exist: the UUID of a job is wanted", ref)
	}
	return err
}

// StartRun implements shield.RunService. The run is found by its UUID or,
// without one, by job and due time. It returns Conflict unless it is due.
func (db *DB) StartRun(ctx context.Context, r *shield.Run, t *shield.Task) error {
	var run shield.Run
	task := *t
	err := db.write(ctx, "catalog.StartRun", func(ctx context.Context, tx bun.Tx) (err error) {
		found, err := findRun(ctx, tx, r)
		if err != nil {
			return err
		}
		if found.Status != shield.RunDue {
			return ended(found)
		}
		if task, err = createTask(ctx, tx, *t); err != nil {
			return err
		}
		run = *found
		run.Task, run.Status, run.Reason = task.UUID, shield.RunStarted, clean(r.Reason)
		return update(ctx, tx, runToRow(&run), run.UUID)
	})
	if err == nil {
		*r, *t = run, task
	}
	return err
}

func findRun(ctx context.Context, tx bun.Tx, r *shield.Run) (*shield.Run, error) {
	var row runRow
	q := tx.NewSelect().Model(&row)
	column, ref := "uuid", r.UUID
	if ref == "" {
		q, column, ref = q.Where("n.due_at = ?", floorMilli(r.DueAt)), "job_uuid", r.Job
	}
	found, err := findBy(ctx, q, column, ref)
	if err == nil && !found {
		return nil, notFound("run", ref)
	}
	return row.noun(), err
}

func ended(r *shield.Run) error {
	return &shield.Error{Code: shield.Conflict, Field: "status", Message: fmt.Sprintf("run %s is %s already", r.UUID, r.Status)}
}

// EndRun implements shield.RunService. It records no event: only the scheduler
// knows what is worth one.
func (db *DB) EndRun(ctx context.Context, uuid string, s shield.RunStatus, reason string) error {
	return db.write(ctx, "catalog.EndRun", func(ctx context.Context, tx bun.Tx) error {
		switch s {
		case shield.RunSucceeded, shield.RunFailed, shield.RunMissed, shield.RunSkipped:
		default:
			return shield.FieldErrorf("status", "is %.100q: a run ends as succeeded, failed, missed or skipped", s)
		}
		if uuid == "" {
			return notFound("run", uuid)
		}
		r, err := findRun(ctx, tx, &shield.Run{UUID: uuid})
		if err != nil {
			return err
		}
		if r.Status != shield.RunDue {
			return ended(r)
		}
		r.Status, r.Reason = s, clean(reason)
		return update(ctx, tx, runToRow(r), r.UUID)
	})
}

// WithdrawRun implements shield.RunService.
func (db *DB) WithdrawRun(ctx context.Context, uuid string) error {
	return db.write(ctx, "catalog.WithdrawRun", func(ctx context.Context, tx bun.Tx) error {
		if uuid == "" {
			return notFound("run", uuid)
		}
		r, err := findRun(ctx, tx, &shield.Run{UUID: uuid})
		if err != nil {
			return err
		}
		if r.Status != shield.RunDue {
			return ended(r)
		}
		_, err = tx.NewDelete().Table("runs").Where("uuid = ?", r.UUID).Exec(ctx)
		return err
	})
}

// endRunOf ends the run that a task belongs to, if there is one.
func endRunOf(ctx context.Context, tx bun.Tx, task string, o shield.Outcome) error {
	status := shield.RunFailed
	if o.Status == shield.TaskDone {
		status = shield.RunSucceeded
	}
	_, err := tx.NewUpdate().Table("runs").
		Set("status = ?", string(status)).Set("reason = ?", clean(o.Error)).
		Where("task_uuid = ?", task).Where("task_uuid <> ''").Where("status IN ('due', 'started')").Exec(ctx)
	return err
}

// Runs implements shield.RunService. The latest due comes first; After and
// Before of the filter are about the due time.
func (db *DB) Runs(ctx context.Context, f shield.Filter) ([]*shield.Run, error) {
	var rows []*runRow
	err := db.read(ctx, "catalog.Runs", func(ctx context.Context, q bun.IDB) error {
		if !askable(f) {
			return nil
		}
		return runsQuery(q, &rows, f).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, (*runRow).noun), nil
}

func runsQuery(db bun.IDB, model any, f shield.Filter) *bun.SelectQuery {
	q := db.NewSelect().Model(model)
	q = equal(q, "job_uuid", f.Job)
	q = anyStatus(q, f.Statuses)
	q = between(q, "due_at", f.After, f.Before)
	return sorted(q, f, runOrder)
}
