package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type agentRow struct {
	bun.BaseModel `bun:"table:agents,alias:n"`
	metaRow
	Labels      document[map[string]string] `bun:"labels"`
	Dial        string                      `bun:"dial"`
	ExpiresAt   stamp                       `bun:"expires_at"`
	Address     string                      `bun:"address"`
	Release     string                      `bun:"release"`
	OS          string                      `bun:"os"`
	Plugins     texts                       `bun:"plugins"`
	Skew        int64                       `bun:"skew"`
	LastSeenAt  stamp                       `bun:"last_seen_at"`
	LastErrorAt stamp                       `bun:"last_error_at"`
	LastError   string                      `bun:"last_error"`
	Unseen      bool                        `bun:"unseen"`
}

func agentToRow(a *shield.Agent) *agentRow {
	return &agentRow{
		metaRow: metaToRow(a.Meta), Labels: document[map[string]string]{a.Labels}, Dial: a.Dial,
		ExpiresAt: stampOf(a.ExpiresAt), Address: clean(a.Address), Release: clean(a.Release), OS: clean(a.OS),
		Plugins: texts{a.Plugins}, Skew: int64(a.Skew * 1000),
		LastSeenAt: stampOf(a.LastSeenAt), LastErrorAt: stampOf(a.LastErrorAt), LastError: clean(a.LastError), Unseen: a.Unseen,
	}
}

func (r *agentRow) noun() *shield.Agent {
	return &shield.Agent{
		Meta: r.meta(), Labels: r.Labels.V, Dial: r.Dial, ExpiresAt: r.ExpiresAt.Time,
		Address: r.Address, Release: r.Release, OS: r.OS, Plugins: r.Plugins.list, Skew: float64(r.Skew) / 1000,
		LastSeenAt: r.LastSeenAt.Time, LastErrorAt: r.LastErrorAt.Time, LastError: r.LastError, Unseen: r.Unseen,
	}
}

func agents() noun[shield.Agent, agentRow] {
	return noun[shield.Agent, agentRow]{
		name: "agent", title: "Agent", table: "agents",
		validate: (*shield.Agent).Validate,
		meta:     func(a *shield.Agent) *shield.Meta { return &a.Meta },
		row:      agentToRow,
		noun:     (*agentRow).noun,
		users:    func(context.Context, bun.Tx, string) ([]string, error) { return nil, nil },
		leave: func(ctx context.Context, tx bun.Tx, a *shield.Agent) error {
			if _, err := tx.NewDelete().Table("agent_tokens").Where("name = ?", a.Name).Exec(ctx); err != nil {
				return err
			}
			return agentEvent(ctx, tx, shield.EventAgentDeleted, a, "agent %s was deleted: its certificate is refused from now on", a.Name)
		},
	}
}

func agentEvent(ctx context.Context, tx bun.Tx, kind shield.EventKind, a *shield.Agent, format string, args ...any) error {
	return recordEvent(ctx, tx, &shield.Event{Kind: kind, Subject: a.UUID, Message: fmt.Sprintf(format, args...)})
}

// Agent implements shield.AgentService.
func (db *DB) Agent(ctx context.Context, ref string) (*shield.Agent, error) {
	return agents().get(ctx, db, ref)
}

// Agents implements shield.AgentService. They are ordered by name.
func (db *DB) Agents(ctx context.Context, f shield.Filter) ([]*shield.Agent, error) {
	return agents().list(ctx, db, f)
}

// DeleteAgent implements shield.AgentService.
func (db *DB) DeleteAgent(ctx context.Context, ref string) error {
	return agents().remove(ctx, db, ref)
}

// ReportAgent implements shield.AgentLedger.
func (db *DB) ReportAgent(ctx context.Context, a *shield.Agent) error {
	return db.write(ctx, "catalog.ReportAgent", func(ctx context.Context, tx bun.Tx) error {
		row := agentToRow(a)
		if err := checkRow(tx, row); err != nil {
			return err
		}
		r, err := tx.NewUpdate().Model(row).
			Column("expires_at", "address", "release", "os", "plugins", "skew", "last_seen_at", "last_error_at", "last_error").
			Where("uuid = ?", a.UUID).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return shield.FirstError(err, notFound("agent", a.UUID))
		}
		return nil
	})
}

// SeeAgents implements shield.AgentLedger.
func (db *DB) SeeAgents(ctx context.Context, uuids []string, now time.Time) error {
	if len(uuids) == 0 {
		return nil
	}
	return db.write(ctx, "catalog.SeeAgents", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Table("agents").Set("last_seen_at = ?", stampOf(now)).Where("uuid IN (?)", bun.List(uuids)).Exec(ctx)
		return err
	})
}

// UnseenAgents implements shield.AgentLedger.
func (db *DB) UnseenAgents(ctx context.Context, since, now time.Time) ([]*shield.Event, error) {
	var told []*shield.Event
	err := db.write(ctx, "catalog.UnseenAgents", func(ctx context.Context, tx bun.Tx) error {
		told = nil
		for _, unseen := range []bool{true, false} {
			changed, err := markUnseen(ctx, tx, unseen, since)
			if err != nil {
				return err
			}
			for _, a := range changed {
				e := &shield.Event{At: now, Kind: shield.EventAgentSeen, Subject: a.UUID, Message: "agent " + a.Name + " is connected again"}
				if unseen {
					e.Kind, e.Message = shield.EventAgentUnseen, "agent "+a.Name+" is not connected"
					if !a.LastSeenAt.IsZero() {
						e.Message += ": it was last seen at " + a.LastSeenAt.UTC().Format(time.RFC3339)
					}
				}
				if err := recordEvent(ctx, tx, e); err != nil {
					return err
				}
				told = append(told, e)
			}
		}
		return nil
	})
	return told, err
}

// markUnseen returns the agents whose mark was not as it is to be.
func markUnseen(ctx context.Context, tx bun.Tx, unseen bool, since time.Time) ([]*shield.Agent, error) {
	var rows []*agentRow
	compare := "coalesce(n.last_seen_at, n.created_at, 0) >= ?"
	if unseen {
		compare = "coalesce(n.last_seen_at, n.created_at, 0) < ?"
	}
	err := tx.NewSelect().Model(&rows).Where("n.unseen = ?", !unseen).Where(compare, floorMilli(since)).OrderExpr("n.name").Scan(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var uuids []string
	for _, r := range rows {
		uuids = append(uuids, r.UUID)
	}
	_, err = tx.NewUpdate().Table("agents").Set("unseen = ?", unseen).Where("uuid IN (?)", bun.List(uuids)).Exec(ctx)
	return each(rows, (*agentRow).noun), err
}
