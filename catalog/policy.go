package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type policyRow struct {
	bun.BaseModel `bun:"table:retention,alias:n"`
	metaRow
	Expiry      int64  `bun:"expiry"`
	KeepLast    int    `bun:"keep_last"`
	KeepHourly  int    `bun:"keep_hourly"`
	KeepDaily   int    `bun:"keep_daily"`
	KeepWeekly  int    `bun:"keep_weekly"`
	KeepMonthly int    `bun:"keep_monthly"`
	KeepYearly  int    `bun:"keep_yearly"`
	MinValid    int    `bun:"min_valid"`
	Timezone    string `bun:"timezone"`
}

func policyToRow(p *shield.Policy) *policyRow {
	return &policyRow{
		metaRow: metaToRow(p.Meta), Expiry: p.Expiry,
		KeepLast: p.KeepLast, KeepHourly: p.KeepHourly, KeepDaily: p.KeepDaily, KeepWeekly: p.KeepWeekly,
		KeepMonthly: p.KeepMonthly, KeepYearly: p.KeepYearly, MinValid: p.MinValid, Timezone: p.Timezone,
	}
}

func (r *policyRow) noun() *shield.Policy {
	return &shield.Policy{
		Meta: r.meta(), Expiry: r.Expiry,
		KeepLast: r.KeepLast, KeepHourly: r.KeepHourly, KeepDaily: r.KeepDaily, KeepWeekly: r.KeepWeekly,
		KeepMonthly: r.KeepMonthly, KeepYearly: r.KeepYearly, MinValid: r.MinValid, Timezone: r.Timezone,
	}
}

func policies() noun[shield.Policy, policyRow] {
	return noun[shield.Policy, policyRow]{
		name: "retention policy", title: "Policy", table: "retention", jobs: "retention_uuid",
		validate: (*shield.Policy).Validate,
		meta:     func(p *shield.Policy) *shield.Meta { return &p.Meta },
		row:      policyToRow,
		noun:     (*policyRow).noun,
		users: func(ctx context.Context, tx bun.Tx, uuid string) ([]string, error) {
			return jobsWith(ctx, tx, "retention_uuid", uuid)
		},
	}
}

// CreatePolicy implements shield.PolicyService.
func (db *DB) CreatePolicy(ctx context.Context, p *shield.Policy) error {
	return policies().create(ctx, db, p)
}

// Policy implements shield.PolicyService.
func (db *DB) Policy(ctx context.Context, ref string) (*shield.Policy, error) {
	return policies().get(ctx, db, ref)
}

// Policies implements shield.PolicyService. They are ordered by name.
func (db *DB) Policies(ctx context.Context, f shield.Filter) ([]*shield.Policy, error) {
	return policies().list(ctx, db, f)
}

// UpdatePolicy implements shield.PolicyService. Archives that exist keep the
// expiry they were made with.
func (db *DB) UpdatePolicy(ctx context.Context, p *shield.Policy) error {
	return policies().update(ctx, db, p)
}

// DeletePolicy implements shield.PolicyService.
func (db *DB) DeletePolicy(ctx context.Context, ref string) error {
	return policies().remove(ctx, db, ref)
}
