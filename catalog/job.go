package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type jobRow struct {
	bun.BaseModel `bun:"table:jobs,alias:n"`
	metaRow
	Target      string `bun:"target_uuid"`
	Store       string `bun:"store_uuid"`
	Schedule    string `bun:"schedule_uuid"`
	Policy      string `bun:"retention_uuid"`
	Priority    int    `bun:"priority"`
	Paused      bool   `bun:"paused"`
	Compression string `bun:"compression"`
	Unencrypted bool   `bun:"unencrypted"`
	Timeout     int64  `bun:"timeout"`
	IdleTimeout int64  `bun:"idle_timeout"`
	Overlap     string `bun:"overlap"`
	Attempts    int    `bun:"attempts"`
	Backoff     int64  `bun:"backoff"`
	RPO         int64  `bun:"rpo"`

	// What a job has come to is not for those who change it.
	LastSuccess stamp `bun:"last_success,scanonly"`
	NextDue     stamp `bun:"next_due,scanonly"`

	TargetName   string `bun:"target_name,scanonly"`
	StoreName    string `bun:"store_name,scanonly"`
	ScheduleName string `bun:"schedule_name,scanonly"`
	PolicyName   string `bun:"policy_name,scanonly"`
}

func jobToRow(j *shield.Job) *jobRow {
	return &jobRow{
		metaRow: metaToRow(j.Meta),
		Target:  j.Target, Store: j.Store, Schedule: j.Schedule, Policy: j.Policy,
		Priority: j.Priority, Paused: j.Paused,
		Compression: j.Compression, Unencrypted: j.Unencrypted, Timeout: j.Timeout, IdleTimeout: j.IdleTimeout,
		Overlap: j.Overlap, Attempts: j.Attempts, Backoff: j.Backoff, RPO: j.RPO,
	}
}

func (r *jobRow) noun() *shield.Job {
	j := &shield.Job{
		Meta:   r.meta(),
		Target: r.Target, Store: r.Store, Schedule: r.Schedule, Policy: r.Policy,
		Priority: r.Priority, Paused: r.Paused,
		Compression: r.Compression, Unencrypted: r.Unencrypted, Timeout: r.Timeout, IdleTimeout: r.IdleTimeout,
		Overlap: r.Overlap, Attempts: r.Attempts, Backoff: r.Backoff, RPO: r.RPO,
		LastSuccess: r.LastSuccess.Time, NextDue: r.NextDue.Time,
		TargetName: r.TargetName, StoreName: r.StoreName, ScheduleName: r.ScheduleName, PolicyName: r.PolicyName,
	}
	j.Breached = j.Misses(time.Now())
	return j
}

func jobs() noun[shield.Job, jobRow] {
	return noun[shield.Job, jobRow]{
		name: "job", title: "Job", table: "jobs",
		validate: (*shield.Job).Validate,
		meta:     func(j *shield.Job) *shield.Meta { return &j.Meta },
		row:      jobToRow,
		noun:     (*jobRow).noun,
		resolve:  resolveJob,
		columns:  jobColumns,
		filter:   jobFilter,
		users: func(ctx context.Context, tx bun.Tx, uuid string) ([]string, error) {
			return tasksWith(ctx, tx, "job_uuid", uuid)
		},
		leave: skipDueRuns,
	}
}

// resolveJob replaces names by UUIDs and fills in the names.
func resolveJob(ctx context.Context, tx bun.Tx, j *shield.Job) error {
	for _, r := range []struct {
		field, table string
		ref, name    *string
	}{
		{"target", "targets", &j.Target, &j.TargetName},
		{"store", "stores", &j.Store, &j.StoreName},
		{"schedule", "schedules", &j.Schedule, &j.ScheduleName},
		{"retention_policy", "retention", &j.Policy, &j.PolicyName},
	} {
		var row metaRow
		q := tx.NewSelect().Model(&row).ModelTableExpr("? AS meta_row", bun.Ident(r.table))
		found, err := findRow(ctx, q, *r.ref)
		if err != nil {
			return err
		}
		if !found {
			return shield.FieldErrorf(r.field, "%.100q does not exist: a name or a UUID is wanted", *r.ref)
		}
		*r.ref, *r.name = row.UUID, row.Name
	}
	return nil
}

// jobColumns adds the names of what a job refers to and what it has come to.
func jobColumns(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("?TableColumns").ColumnExpr("n.last_success").
		ColumnExpr("(SELECT min(due_at) FROM runs WHERE job_uuid = n.uuid AND status = 'due') AS next_due").
		ColumnExpr("t.name AS target_name, s.name AS store_name, c.name AS schedule_name, p.name AS policy_name").
		Join("JOIN targets AS t ON t.uuid = n.target_uuid").
		Join("JOIN stores AS s ON s.uuid = n.store_uuid").
		Join("JOIN schedules AS c ON c.uuid = n.schedule_uuid").
		Join("JOIN retention AS p ON p.uuid = n.retention_uuid")
}

func jobFilter(q *bun.SelectQuery, f shield.Filter) *bun.SelectQuery {
	q = equal(q, "target_uuid", f.Target)
	q = equal(q, "store_uuid", f.Store)
	q = equal(q, "schedule_uuid", f.Schedule)
	q = equal(q, "retention_uuid", f.Policy)
	if f.Paused != nil {
		q = q.Where("n.paused = ?", *f.Paused)
	}
	return q
}

// skipDueRuns ends the runs that can no longer happen.
func skipDueRuns(ctx context.Context, tx bun.Tx, j *shield.Job) error {
	_, err := tx.NewUpdate().Table("runs").
		Set("status = ?", string(shield.RunSkipped)).Set("reason = ?", "the job was deleted").
		Where("job_uuid = ?", j.UUID).Where("status = ?", string(shield.RunDue)).Exec(ctx)
	return err
}

// CreateJob implements shield.JobService. References may be names; they are
// replaced by UUIDs, in j too.
func (db *DB) CreateJob(ctx context.Context, j *shield.Job) error {
	return jobs().create(ctx, db, j)
}

// Job implements shield.JobService.
func (db *DB) Job(ctx context.Context, ref string) (*shield.Job, error) {
	return jobs().get(ctx, db, ref)
}

// Jobs implements shield.JobService. They are ordered by name.
func (db *DB) Jobs(ctx context.Context, f shield.Filter) ([]*shield.Job, error) {
	return jobs().list(ctx, db, f)
}

// UpdateJob implements shield.JobService. References may be names, as for
// CreateJob.
func (db *DB) UpdateJob(ctx context.Context, j *shield.Job) error {
	return jobs().update(ctx, db, j)
}

// DeleteJob implements shield.JobService. A job is in use while a task of it
// has not ended. Its archives, tasks and runs stay; runs that were due are
// skipped.
func (db *DB) DeleteJob(ctx context.Context, ref string) error {
	return jobs().remove(ctx, db, ref)
}
