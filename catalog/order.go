package catalog

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// An order is what a list can be sorted by.
type order struct {
	table string // whose rows have UUIDs; "" if they have none, but IDs
	usual string // of a filter that names none
	// columns are those that can be sorted by, which are never NULL, with how
	// their values are read from a Position.
	columns map[string]func(string) (any, error)
}

// How values of columns are read.
var (
	asText = func(s string) (any, error) { return s, nil }
	asTime = func(s string) (any, error) {
		t, err := time.Parse(time.RFC3339Nano, s)
		return t.UnixMilli(), err
	}
	asNumber = func(s string) (any, error) { return strconv.ParseInt(s, 10, 64) }
)

// What lists can be sorted by.
var (
	archiveOrder = order{"archives", "-taken_at", map[string]func(string) (any, error){"taken_at": asTime, "raw_size": asNumber, "stored_size": asNumber}}
	taskOrder    = order{"tasks", "-requested_at", map[string]func(string) (any, error){"requested_at": asTime}}
	runOrder     = order{"runs", "-due_at", map[string]func(string) (any, error){"due_at": asTime}}
	eventOrder   = order{"", "-at", map[string]func(string) (any, error){"at": asTime}}
)

// nounOrder is that of a table of things that users make.
func nounOrder(table string) order {
	return order{table, "name", map[string]func(string) (any, error){"name": asText, "created_at": asTime, "updated_at": asTime}}
}

// sorted orders, bounds and begins a list as the filter wants it. What is equal
// is ordered by insertion.
func sorted(q *bun.SelectQuery, f shield.Filter, o order) *bun.SelectQuery {
	column, descending := strings.CutPrefix(cmp.Or(f.Sort, o.usual), "-")
	read, known := o.columns[column]
	if !known {
		return q.Err(shield.FieldErrorf("sort", "is %.100q: %s are allowed, each with - before it to turn it round",
			f.Sort, strings.Join(slices.Sorted(maps.Keys(o.columns)), ", ")))
	}
	direction, than := bun.Safe("ASC"), bun.Safe(">")
	if descending {
		direction, than = "DESC", "<"
	}
	if f.From != nil {
		value, err := read(f.From.Value)
		if err != nil {
			return q.Err(shield.FieldErrorf("cursor", "is not one of this list"))
		}
		if o.table != "" {
			// Where the row is gone, what is equal to it comes again.
			q = q.Where("(?TableAlias.?, ?TableAlias.id) ? (?, coalesce((SELECT id FROM ? WHERE uuid = ?), ?))",
				bun.Ident(column), than, value, bun.Ident(o.table), f.From.ID, gone(descending))
		} else if id, err := strconv.ParseInt(f.From.ID, 10, 64); err == nil {
			q = q.Where("(?TableAlias.?, ?TableAlias.id) ? (?, ?)", bun.Ident(column), than, value, id)
		} else {
			return q.Err(shield.FieldErrorf("cursor", "is not one of this list"))
		}
	}
	return limited(q.OrderExpr("?TableAlias.? ?, ?TableAlias.id ?", bun.Ident(column), direction, direction), f)
}

// gone stands for the ID of a row that is no more.
func gone(descending bool) int64 {
	if descending {
		return 1<<63 - 1
	}
	return -1
}
