package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// nextTask selects the task to claim: the order is that of the index
// tasks_claim, which holds all that the conditions need; SQLite would rather
// sort all pending tasks. Backups and restores of one target exclude each
// other; a purge or a test works on the store only. What is busy or full is
// found once for each claim, among the running tasks, which are few: the
// indexes of these are named, and the joins crossed, so that SQLite begins with
// them.
const nextTask = `
SELECT c.uuid FROM tasks AS c INDEXED BY tasks_claim
WHERE c.status = 'pending'
	AND (?4 <= 0 OR ?4 > (SELECT count(*) FROM tasks AS r INDEXED BY tasks_running_job WHERE r.status = 'running'))
	AND (c.not_before IS NULL OR c.not_before <= ?0)
	AND c.job_uuid NOT IN (
		SELECT r.job_uuid FROM tasks AS r INDEXED BY tasks_running_job WHERE r.status = 'running' AND r.job_uuid <> '')
	AND (c.op NOT IN ('backup', 'restore') OR c.target_uuid NOT IN (
		SELECT r.target_uuid FROM tasks AS r INDEXED BY tasks_running_target WHERE r.status = 'running' AND r.target_uuid <> ''
			AND r.op IN ('backup', 'restore')))
	AND c.target_uuid NOT IN (
		SELECT r.target_uuid FROM tasks AS r INDEXED BY tasks_running_target CROSS JOIN targets AS n ON n.uuid = r.target_uuid
		WHERE r.status = 'running' AND n.max_tasks > 0 GROUP BY r.target_uuid HAVING count(*) >= max(n.max_tasks))
	AND c.store_uuid NOT IN (
		SELECT r.store_uuid FROM tasks AS r INDEXED BY tasks_running_store CROSS JOIN stores AS n ON n.uuid = r.store_uuid
		WHERE r.status = 'running' AND n.max_tasks > 0 GROUP BY r.store_uuid HAVING count(*) >= max(n.max_tasks))
	AND (?5 <= 0 OR c.agent NOT IN (
		SELECT r.agent FROM tasks AS r INDEXED BY tasks_running_agent
		WHERE r.status = 'running' AND r.agent <> '' GROUP BY r.agent HAVING count(*) >= ?5))
ORDER BY c.priority * 60000 + c.requested_at, c.requested_at, c.id
LIMIT 1`

// claimTask leases that task. A task keeps the error of its last attempt
// until it ends.
const claimTask = `
UPDATE tasks SET
	status = 'running',
	lease_owner = ?1,
	lease_epoch = lease_epoch + 1,
	lease_expires = ?2,
	started_at = ?0,
	stopped_at = NULL,
	attempts = attempts + 1,
	timeout_at = CASE WHEN timeout > 0 THEN ?0 + timeout * 1000 WHEN ?3 > 0 THEN ?0 + ?3 END
WHERE uuid = (` + nextTask + `)
RETURNING *`

// ClaimTask implements shield.TaskLedger. A task that has waited a minute
// longer is as urgent as one of the next better priority. The returned task
// has what earlier attempts logged.
func (db *DB) ClaimTask(ctx context.Context, l shield.Lease, now time.Time) (*shield.Task, error) {
	const op = "catalog.ClaimTask"
	if err := checkLease(l); err != nil {
		return nil, fail(ctx, op, err)
	}
	var t *shield.Task
	err := db.write(ctx, op, func(ctx context.Context, tx bun.Tx) error {
		var row taskRow
		err := tx.NewRaw(claimTask, floorMilli(now), l.Owner, floorMilli(l.Expires), l.Timeout.Milliseconds(), l.Limit, l.AgentLimit).Scan(ctx, &row)
		if errors.Is(err, sql.ErrNoRows) {
			return &shield.Error{Code: shield.NotFound, Message: "no task can be claimed now"}
		}
		if err != nil {
			return err
		}
		t, err = row.noun()
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func checkLease(l shield.Lease) error {
	if l.Owner == "" || !isText(l.Owner) {
		return shield.FieldErrorf("owner", "is %.100q: a lease belongs to somebody", l.Owner)
	}
	if l.Expires.IsZero() {
		return shield.FieldErrorf("expires", "is missing: a lease ends at some time")
	}
	return nil
}

// RenewTask implements shield.TaskLedger. An empty log keeps what is stored;
// any other replaces it.
func (db *DB) RenewTask(ctx context.Context, uuid string, l shield.Lease, log string) error {
	const op = "catalog.RenewTask"
	if err := checkLease(l); err != nil {
		return fail(ctx, op, err)
	}
	return db.write(ctx, op, func(ctx context.Context, tx bun.Tx) error {
		if _, err := leasedTask(ctx, tx, uuid, l); err != nil {
			return err
		}
		q := tx.NewUpdate().Table("tasks").Set("lease_expires = ?", floorMilli(l.Expires)).Where("uuid = ?", uuid)
		if log != "" {
			q = q.Set("log = ?", clean(log))
		}
		_, err := q.Exec(ctx)
		return err
	})
}

// leasedTask returns the running task, without its log, or Conflict if the
// lease on it was lost.
func leasedTask(ctx context.Context, tx bun.Tx, uuid string, l shield.Lease) (*shield.Task, error) {
	var row taskRow
	t, err := findTask(ctx, tx.NewSelect().Model(&row).ExcludeColumn("log"), &row, uuid)
	if err != nil {
		return nil, err
	}
	if t.Status != shield.TaskRunning || t.LeaseOwner != l.Owner || t.LeaseEpoch != l.Epoch {
		return nil, &shield.Error{Code: shield.Conflict, Field: "lease", Message: fmt.Sprintf(
			"of task %s was lost: it is %s under epoch %d of %.100q now, epoch %d of %.100q was given",
			uuid, t.Status, t.LeaseEpoch, t.LeaseOwner, l.Epoch, l.Owner)}
	}
	return t, nil
}

// LapsedTasks implements shield.TaskLedger. The tasks have no logs. A nil
// dead means that no owner is known to be dead.
func (db *DB) LapsedTasks(ctx context.Context, now time.Time, dead func(owner string) bool) ([]*shield.Task, error) {
	running, err := db.runningTasks(ctx)
	if err != nil {
		return nil, err
	}
	var lapsed []*shield.Task
	for _, t := range running {
		if t.LeaseExpires.Before(now) || dead != nil && dead(t.LeaseOwner) {
			lapsed = append(lapsed, t)
		}
	}
	return lapsed, nil
}

func (db *DB) runningTasks(ctx context.Context) ([]*shield.Task, error) {
	var tasks []*shield.Task
	err := db.read(ctx, "catalog.LapsedTasks", func(ctx context.Context, q bun.IDB) (err error) {
		var rows []*taskRow
		if err := runningQuery(q, &rows).Scan(ctx); err != nil {
			return err
		}
		tasks, err = tasksOf(rows)
		return err
	})
	return tasks, err
}

func runningQuery(db bun.IDB, model any) *bun.SelectQuery {
	return db.NewSelect().Model(model).ExcludeColumn("log").Where("n.status = 'running'").OrderExpr("n.requested_at, n.id")
}
