package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// judgedAtOnce bounds the events of one judgement, so that it does not hold up
// other writers.
const judgedAtOnce = 500

type objectiveRow struct {
	bun.BaseModel `bun:"table:jobs,alias:n"`
	ID            int64  `bun:"id,pk"`
	UUID          string `bun:"uuid"`
	Name          string `bun:"name"`
	Paused        bool   `bun:"paused"`
	RPO           int64  `bun:"rpo"`
	LastSuccess   stamp  `bun:"last_success"`
	Breached      bool   `bun:"breached"`
}

// deadline is until when the next good backup is wanted, as the index
// jobs_objective has it.
const deadline = "coalesce(n.last_success, n.created_at, 0) + n.rpo * 1000"

// missedQuery finds the jobs that miss their objectives and of which no event
// says so; metQuery those of which one does, and that meet them again.
func missedQuery(db bun.IDB, model any, now time.Time) *bun.SelectQuery {
	return db.NewSelect().Model(model).
		Where("n.rpo > 0 AND n.breached = 0 AND "+deadline+" < ?", floorMilli(now)).
		OrderExpr(deadline).Limit(judgedAtOnce)
}

func metQuery(db bun.IDB, model any, now time.Time) *bun.SelectQuery {
	return db.NewSelect().Model(model).
		Where("n.breached = 1 AND (n.rpo = 0 OR "+deadline+" >= ?)", floorMilli(now)).
		OrderExpr("n.id").Limit(judgedAtOnce)
}

// JudgeObjectives implements shield.ObjectiveService.
func (db *DB) JudgeObjectives(ctx context.Context, now time.Time) ([]*shield.Event, error) {
	var told []*shield.Event
	err := db.write(ctx, "catalog.JudgeObjectives", func(ctx context.Context, tx bun.Tx) error {
		var missed, met []*objectiveRow
		if err := missedQuery(tx, &missed, now).Scan(ctx); err != nil {
			return err
		}
		if err := metQuery(tx, &met, now).Scan(ctx); err != nil {
			return err
		}
		told = nil
		for _, r := range append(missed, met...) {
			e := r.judged(now)
			if err := turnObjective(ctx, tx, r, e); err != nil {
				return err
			}
			told = append(told, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return told, nil
}

func turnObjective(ctx context.Context, tx bun.Tx, r *objectiveRow, e *shield.Event) error {
	_, err := tx.NewUpdate().Table("jobs").Set("breached = ?", !r.Breached).Where("uuid = ?", r.UUID).Exec(ctx)
	if err != nil {
		return err
	}
	return recordEvent(ctx, tx, e)
}

// judged is the event of a job that has turned from what the row says.
func (r *objectiveRow) judged(now time.Time) *shield.Event {
	e := &shield.Event{At: now, Kind: shield.EventJobBreached, Subject: r.UUID}
	last := "it never succeeded"
	if !r.LastSuccess.IsZero() {
		last = "its newest good backup was taken at " + r.LastSuccess.Format(time.RFC3339)
	}
	objective := time.Duration(r.RPO) * time.Second
	switch {
	case !r.Breached:
		e.Message = fmt.Sprintf("job %s misses its objective of %s: %s", r.Name, objective, last)
		if r.Paused {
			e.Message += "; it is paused"
		}
	case r.RPO == 0:
		e.Kind, e.Message = shield.EventJobMet, fmt.Sprintf("job %s has no objective any more", r.Name)
	default:
		e.Kind, e.Message = shield.EventJobMet, fmt.Sprintf("job %s meets its objective of %s again: %s", r.Name, objective, last)
	}
	return e
}

// noteSuccess remembers when the newest good backup of a job was taken. Not
// every backup belongs to a job.
func noteSuccess(ctx context.Context, tx bun.Tx, a *shield.Archive) error {
	taken := floorMilli(a.TakenAt)
	_, err := tx.NewUpdate().Table("jobs").Set("last_success = ?", taken).
		Where("uuid = ?", a.Job).Where("last_success IS NULL OR last_success < ?", taken).Exec(ctx)
	return err
}
