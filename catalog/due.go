package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// DueRuns implements shield.RunService.
func (db *DB) DueRuns(ctx context.Context, now time.Time, after string, limit int) ([]*shield.DueRun, error) {
	var due []*shield.DueRun
	err := db.read(ctx, "catalog.DueRuns", func(ctx context.Context, q bun.IDB) error {
		var rows []*runRow
		if err := dueQuery(q, &rows, now, after, limit).Scan(ctx); err != nil || len(rows) == 0 {
			due = nil
			return err
		}
		due = make([]*shield.DueRun, len(rows))
		for i, r := range rows {
			due[i] = &shield.DueRun{Run: r.noun()}
		}
		return fillDue(ctx, q, due)
	})
	return due, err
}

func dueQuery(db bun.IDB, model any, now time.Time, after string, limit int) *bun.SelectQuery {
	q := db.NewSelect().Model(model).Where("n.status = 'due'").Where("n.due_at <= ?", floorMilli(now))
	if after != "" {
		q = q.Where("(n.due_at, n.id) > (SELECT due_at, id FROM runs WHERE uuid = ?)", after)
	}
	return q.OrderExpr("n.due_at, n.id").Limit(int64(limit))
}

// fillDue reads what the runs' jobs are, and what they refer to.
func fillDue(ctx context.Context, q bun.IDB, due []*shield.DueRun) error {
	of := make([]string, len(due))
	for i, d := range due {
		of[i] = d.Run.Job
	}
	found, err := jobs().among(ctx, q, of)
	if err != nil {
		return err
	}
	var refs struct{ schedules, policies, targets, stores []string }
	for _, j := range found {
		refs.schedules, refs.policies = append(refs.schedules, j.Schedule), append(refs.policies, j.Policy)
		refs.targets, refs.stores = append(refs.targets, j.Target), append(refs.stores, j.Store)
	}
	scheds, err1 := schedules().among(ctx, q, refs.schedules)
	pols, err2 := policies().among(ctx, q, refs.policies)
	tgts, err3 := targets().among(ctx, q, refs.targets)
	sts, err4 := stores().among(ctx, q, refs.stores)
	var busy []string
	err5 := openJobsQuery(q, of).Scan(ctx, &busy)
	if err := shield.FirstError(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	open := make(map[string]bool, len(busy))
	for _, uuid := range busy {
		open[uuid] = true
	}
	for _, d := range due {
		if j := found[d.Run.Job]; j != nil {
			d.Job, d.Schedule, d.Policy, d.Target, d.Store = j, scheds[j.Schedule], pols[j.Policy], tgts[j.Target], sts[j.Store]
			d.Open = open[j.UUID]
		}
		if d.Job != nil && (d.Schedule == nil || d.Policy == nil || d.Target == nil || d.Store == nil) {
			d.Job = nil // it was deleted between two statements, and these with it
		}
	}
	return nil
}

// openJobsQuery finds which of some jobs have backups that have not ended.
func openJobsQuery(db bun.IDB, jobs []string) *bun.SelectQuery {
	return db.NewSelect().Distinct().TableExpr("tasks AS n INDEXED BY tasks_open_job").Column("n.job_uuid").
		Where("n.status IN ('pending', 'running') AND n.op = 'backup'").Where("n.job_uuid IN (?)", bun.List(jobs))
}

// NextDue implements shield.RunService.
func (db *DB) NextDue(ctx context.Context, t time.Time) (time.Time, error) {
	var next stamp
	err := db.read(ctx, "catalog.NextDue", func(ctx context.Context, q bun.IDB) error {
		return nextDueQuery(q, t).Scan(ctx, &next)
	})
	return next.Time, err
}

func nextDueQuery(db bun.IDB, t time.Time) *bun.SelectQuery {
	return db.NewSelect().Table("runs").ColumnExpr("min(due_at)").Where("status = 'due'").Where("due_at > ?", floorMilli(t))
}
