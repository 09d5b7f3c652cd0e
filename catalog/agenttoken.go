package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

type agentTokenRow struct {
	bun.BaseModel `bun:"table:agent_tokens,alias:n"`
	ID            int64                       `bun:"id,pk,autoincrement"`
	Name          string                      `bun:"name"`
	Digest        string                      `bun:"digest"`
	Labels        document[map[string]string] `bun:"labels"`
	Dial          string                      `bun:"dial"`
	CreatedAt     stamp                       `bun:"created_at"`
	ExpiresAt     stamp                       `bun:"expires_at"`
	UsedBy        string                      `bun:"used_by"`
}

func (r *agentTokenRow) noun() *shield.AgentToken {
	return &shield.AgentToken{
		Name: r.Name, Digest: r.Digest, Labels: r.Labels.V, Dial: r.Dial,
		CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}

// CreateAgentToken implements shield.AgentService.
func (db *DB) CreateAgentToken(ctx context.Context, t *shield.AgentToken) error {
	return db.write(ctx, "catalog.CreateAgentToken", func(ctx context.Context, tx bun.Tx) error {
		if err := t.Validate(); err != nil {
			return err
		}
		row := &agentTokenRow{
			Name: t.Name, Digest: t.Digest, Labels: document[map[string]string]{t.Labels}, Dial: t.Dial,
			CreatedAt: stampOf(t.CreatedAt), ExpiresAt: stampOf(t.ExpiresAt),
		}
		if err := checkRow(tx, row); err != nil {
			return err
		}
		taken, err := tx.NewSelect().Table("agents").Where("name = ?", t.Name).Exists(ctx)
		if err != nil {
			return err
		}
		if taken {
			return &shield.Error{Code: shield.Conflict, Field: "name",
				Message: fmt.Sprintf("agent %q has joined already: delete it before another takes its name", t.Name)}
		}
		if _, err := tx.NewDelete().Table("agent_tokens").Where("name = ? OR expires_at < ?", t.Name, stampOf(t.CreatedAt)).Exec(ctx); err != nil {
			return err
		}
		return insert(ctx, tx, row)
	})
}

// AgentTokens implements shield.AgentLedger. They are ordered by name.
func (db *DB) AgentTokens(ctx context.Context, now time.Time) ([]*shield.AgentToken, error) {
	var rows []*agentTokenRow
	err := db.read(ctx, "catalog.AgentTokens", func(ctx context.Context, q bun.IDB) error {
		return q.NewSelect().Model(&rows).Where("used_by = ''").Where("expires_at > ?", stampOf(now)).OrderExpr("n.name").Scan(ctx)
	})
	return each(rows, (*agentTokenRow).noun), err
}

// EnrolAgent implements shield.AgentLedger.
func (db *DB) EnrolAgent(ctx context.Context, name, digest, key string, now time.Time) (*shield.Agent, error) {
	var a *shield.Agent
	err := db.write(ctx, "catalog.EnrolAgent", func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = enrol(ctx, tx, name, digest, key, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func enrol(ctx context.Context, tx bun.Tx, name, digest, key string, now time.Time) (*shield.Agent, error) {
	row := &agentTokenRow{}
	found, err := findBy(ctx, tx.NewSelect().Model(row), "digest", digest)
	if err != nil {
		return nil, err
	}
	refused := func(format string, args ...any) (*shield.Agent, error) {
		return nil, shield.Errorf(shield.Unauthorized, "", format, args...)
	}
	switch {
	case !found:
		return refused("this token to join with is unknown: make one with `shield create agent-token --name %s`", name)
	case row.Name != name:
		return refused("this token is not for an agent called %q", name)
	case row.UsedBy != "" && row.UsedBy != key:
		return refused("this token was used already")
	case row.UsedBy == key && key != "":
		return agents().find(ctx, tx, name)
	case !now.Before(row.ExpiresAt.Time):
		return refused("this token expired at %s", row.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if _, err := tx.NewUpdate().Table("agent_tokens").Set("used_by = ?", key).Where("id = ?", row.ID).Exec(ctx); err != nil {
		return nil, err
	}
	id, err := newUUID("")
	if err != nil {
		return nil, err
	}
	at := whole(now)
	a := &shield.Agent{
		Meta:   shield.Meta{UUID: id, Name: name, Version: 1, CreatedAt: at, UpdatedAt: at},
		Labels: row.Labels.V, Dial: row.Dial,
	}
	if err := agents().check(ctx, tx, a); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, agentToRow(a)); err != nil {
		return nil, err
	}
	return a, agentEvent(ctx, tx, shield.EventAgentEnrolled, a, "agent %s has joined", name)
}
