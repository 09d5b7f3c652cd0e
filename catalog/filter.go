package catalog

import (
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// askable reports whether something can match f at all: nothing stored has
// text that is not valid.
func askable(f shield.Filter) bool {
	texts := append([]string{f.Name, f.Plugin, f.Target, f.Store, f.Schedule, f.Policy, f.Job, f.Archive, f.User, string(f.Op)}, f.Statuses...)
	if f.From != nil {
		texts = append(texts, f.From.Value, f.From.ID)
	}
	return !slices.ContainsFunc(texts, func(s string) bool { return !isText(s) })
}

// equal adds a condition on a column if a value is wanted.
func equal(q *bun.SelectQuery, column, value string) *bun.SelectQuery {
	if value == "" {
		return q
	}
	return q.Where("?TableAlias.? = ?", bun.Ident(column), value)
}

func anyStatus(q *bun.SelectQuery, statuses []string) *bun.SelectQuery {
	switch len(statuses) {
	case 0:
		return q
	case 1: // an equation lets the index give the order, a list does not
		return equal(q, "status", statuses[0])
	}
	return q.Where("?TableAlias.status IN (?)", bun.List(statuses))
}

func between(q *bun.SelectQuery, column string, after, before time.Time) *bun.SelectQuery {
	if !after.IsZero() {
		q = q.Where("?TableAlias.? >= ?", bun.Ident(column), ceilMilli(after))
	}
	if !before.IsZero() {
		q = q.Where("?TableAlias.? < ?", bun.Ident(column), ceilMilli(before))
	}
	return q
}

func limited(q *bun.SelectQuery, f shield.Filter) *bun.SelectQuery {
	if f.Limit > 0 {
		q = q.Limit(int64(f.Limit))
	}
	return q
}

// unless is the word before a condition that should hold or not.
func unless(holds bool) bun.Safe {
	if holds {
		return ""
	}
	return "NOT"
}
