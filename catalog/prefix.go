package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// shortestPrefix is how many characters of a UUID have to be given.
const shortestPrefix = 4

// prefixed are the kinds whose UUIDs can be given by a prefix, with their
// tables, and whether they have names, which come first.
var prefixed = map[string]struct {
	table string
	named bool
}{
	"target": {"targets", true}, "store": {"stores", true}, "schedule": {"schedules", true}, "retention policy": {"retention", true},
	"job": {"jobs", true}, "archive": {"archives", false}, "task": {"tasks", false},
	"user": {"users", true}, "token": {"tokens", true}, "agent": {"agents", true},
}

// Expand implements shield.PrefixService.
func (db *DB) Expand(ctx context.Context, kind, ref string) (string, error) {
	k, known := prefixed[kind]
	if !known || !isPrefix(ref) {
		return ref, nil
	}
	whole := ref
	err := db.read(ctx, "catalog.Expand", func(ctx context.Context, q bun.IDB) error {
		if k.named {
			taken, err := q.NewSelect().Table(k.table).Where("name = ?", ref).Exists(ctx)
			if err != nil || taken {
				return err
			}
		}
		var found []string
		// What is between a prefix and the same with a g behind begins with it.
		err := q.NewSelect().Table(k.table).Column("uuid").Where("uuid >= ? AND uuid < ?", ref, ref+"g").Limit(2).Scan(ctx, &found)
		switch {
		case err != nil:
			return err
		case len(found) > 1:
			return &shield.Error{Code: shield.Invalid, Message: fmt.Sprintf("%q begins the UUID of more than one %s: give more of it", ref, kind)}
		case len(found) == 1:
			whole = found[0]
		}
		return nil
	})
	return whole, err
}

// isPrefix reports whether a text can be the beginning of a UUID, and is long
// enough to be meant as one.
func isPrefix(ref string) bool {
	if len(ref) < shortestPrefix || len(ref) >= len("00000000-0000-0000-0000-000000000000") {
		return false
	}
	const rest = "00000000-0000-0000-0000-000000000000"
	return shield.IsUUID(ref + rest[len(ref):])
}
