package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type policyRow struct {
	bun.BaseModel `bun:"table:retention,alias:n"`
	metaRow
	Expiry int64 `bun:"expiry"`
}

func policyToRow(p *shield.Policy) *policyRow {
	return &policyRow{metaRow: metaToRow(p.Meta), Expiry: p.Expiry}
}

func (r *policyRow) noun() *shield.Policy {
	return &shield.Policy{Meta: r.meta(), Expiry: r.Expiry}
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
