package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type scheduleRow struct {
	bun.BaseModel `bun:"table:schedules,alias:n"`
	metaRow
	Timespec string `bun:"timespec"`
	Timezone string `bun:"timezone"`
	Jitter   int64  `bun:"jitter"`
	Blackout texts  `bun:"blackout"`
	CatchUp  string `bun:"catch_up"`
}

func scheduleToRow(s *shield.Schedule) *scheduleRow {
	return &scheduleRow{
		metaRow: metaToRow(s.Meta), Timespec: s.Timespec, Timezone: s.Timezone,
		Jitter: s.Jitter, Blackout: texts{s.Blackout}, CatchUp: s.CatchUp,
	}
}

func (r *scheduleRow) noun() *shield.Schedule {
	return &shield.Schedule{
		Meta: r.meta(), Timespec: r.Timespec, Timezone: r.Timezone,
		Jitter: r.Jitter, Blackout: r.Blackout.list, CatchUp: r.CatchUp,
	}
}

func schedules() noun[shield.Schedule, scheduleRow] {
	return noun[shield.Schedule, scheduleRow]{
		name: "schedule", title: "Schedule", table: "schedules", jobs: "schedule_uuid",
		validate: (*shield.Schedule).Validate,
		meta:     func(s *shield.Schedule) *shield.Meta { return &s.Meta },
		row:      scheduleToRow,
		noun:     (*scheduleRow).noun,
		users: func(ctx context.Context, tx bun.Tx, uuid string) ([]string, error) {
			return jobsWith(ctx, tx, "schedule_uuid", uuid)
		},
	}
}

// CreateSchedule implements shield.ScheduleService.
func (db *DB) CreateSchedule(ctx context.Context, s *shield.Schedule) error {
	return schedules().create(ctx, db, s)
}

// Schedule implements shield.ScheduleService.
func (db *DB) Schedule(ctx context.Context, ref string) (*shield.Schedule, error) {
	return schedules().get(ctx, db, ref)
}

// Schedules implements shield.ScheduleService. They are ordered by name.
func (db *DB) Schedules(ctx context.Context, f shield.Filter) ([]*shield.Schedule, error) {
	return schedules().list(ctx, db, f)
}

// UpdateSchedule implements shield.ScheduleService.
func (db *DB) UpdateSchedule(ctx context.Context, s *shield.Schedule) error {
	return schedules().update(ctx, db, s)
}

// DeleteSchedule implements shield.ScheduleService.
func (db *DB) DeleteSchedule(ctx context.Context, ref string) error {
	return schedules().remove(ctx, db, ref)
}
