package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type planRow struct {
	bun.BaseModel   `bun:"table:jobs,alias:n"`
	UUID            string `bun:"uuid"`
	Name            string `bun:"name"`
	Version         int64  `bun:"version"`
	Schedule        string `bun:"schedule_uuid"`
	ScheduleVersion int64  `bun:"schedule_version,scanonly"`
}

// Plans implements shield.PlanService.
func (db *DB) Plans(ctx context.Context, f shield.PlanFilter) ([]*shield.JobPlan, error) {
	var plans []*shield.JobPlan
	err := db.read(ctx, "catalog.Plans", func(ctx context.Context, q bun.IDB) error {
		var rows []*planRow
		if err := plansQuery(q, &rows, f).Scan(ctx); err != nil {
			return err
		}
		plans = each(rows, func(r *planRow) *shield.JobPlan {
			return &shield.JobPlan{Job: r.UUID, Name: r.Name, Version: r.Version, Schedule: r.Schedule, ScheduleVersion: r.ScheduleVersion}
		})
		return fillPlans(ctx, q, plans)
	})
	return plans, err
}

func plansQuery(db bun.IDB, model any, f shield.PlanFilter) *bun.SelectQuery {
	q := db.NewSelect().Model(model).Column("n.uuid", "n.name", "n.version", "n.schedule_uuid").
		ColumnExpr("(SELECT version FROM schedules WHERE uuid = n.schedule_uuid) AS schedule_version")
	if f.Changed {
		q = q.ModelTableExpr("jobs AS n INDEXED BY jobs_unplanned").Where("n.planned <> n.version")
	}
	q = equal(q, "schedule_uuid", f.Schedule).Where("n.uuid > ?", f.After)
	return limited(q.OrderExpr("n.uuid"), shield.Filter{Limit: f.Limit})
}

// fillPlans adds the runs that are due.
func fillPlans(ctx context.Context, q bun.IDB, plans []*shield.JobPlan) error {
	if len(plans) == 0 {
		return nil
	}
	of := make(map[string]*shield.JobPlan, len(plans))
	uuids := make([]string, len(plans))
	for i, p := range plans {
		of[p.Job], uuids[i] = p, p.Job
	}
	var rows []*runRow
	if err := jobsDueQuery(q, &rows, uuids).Scan(ctx); err != nil {
		return err
	}
	for _, r := range each(rows, (*runRow).noun) {
		of[r.Job].Due = append(of[r.Job].Due, r)
	}
	return nil
}

func jobsDueQuery(db bun.IDB, model any, jobs []string) *bun.SelectQuery {
	return db.NewSelect().Model(model).ModelTableExpr("runs AS n INDEXED BY runs_next").
		Where("n.status = 'due'").Where("n.job_uuid IN (?)", bun.List(jobs))
}

// ChangedSchedules implements shield.PlanService.
func (db *DB) ChangedSchedules(ctx context.Context, after string) ([]*shield.Schedule, error) {
	var rows []*scheduleRow
	err := db.read(ctx, "catalog.ChangedSchedules", func(ctx context.Context, q bun.IDB) error {
		return changedSchedulesQuery(q, &rows, after).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, (*scheduleRow).noun), nil
}

func changedSchedulesQuery(db bun.IDB, model any, after string) *bun.SelectQuery {
	return db.NewSelect().Model(model).ModelTableExpr("schedules AS n INDEXED BY schedules_unplanned").
		Where("n.planned <> n.version").Where("n.uuid > ?", after).OrderExpr("n.uuid").Limit(100)
}

// Planned implements shield.PlanService. What was changed since it was read
// has another version, and is planned again.
func (db *DB) Planned(ctx context.Context, plans []*shield.JobPlan) error {
	return db.write(ctx, "catalog.Planned", func(ctx context.Context, tx bun.Tx) error {
		for _, p := range plans {
			_, err := tx.NewUpdate().Table("jobs").Set("planned = ?", p.Version).Where("uuid = ?", p.Job).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SchedulePlanned implements shield.PlanService.
func (db *DB) SchedulePlanned(ctx context.Context, uuid string, version int64) error {
	return db.write(ctx, "catalog.SchedulePlanned", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Table("schedules").Set("planned = ?", version).Where("uuid = ?", uuid).Exec(ctx)
		return err
	})
}
