package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// A noun is what the catalog has to know of a kind of thing that users make:
// N as callers see it, R as a row. All such kinds are created, found, changed
// and deleted alike.
type noun[N, R any] struct {
	name     string // for people: "target"
	title    string // in the names of methods: "Target"
	table    string
	jobs     string // column of jobs that refers to it; "" if none does
	validate func(*N) error
	meta     func(*N) *shield.Meta
	row      func(*N) *R
	noun     func(*R) *N
	// resolve replaces references in N by what they refer to.
	resolve func(ctx context.Context, tx bun.Tx, n *N) error
	// columns adds what a reader sees beside the row's own columns.
	columns func(q *bun.SelectQuery) *bun.SelectQuery
	// filter adds conditions that only this kind has.
	filter func(q *bun.SelectQuery, f shield.Filter) *bun.SelectQuery
	// users tells what forbids deleting it.
	users func(ctx context.Context, tx bun.Tx, uuid string) ([]string, error)
	// leave is called before the row is deleted.
	leave func(ctx context.Context, tx bun.Tx, n *N) error
	// keep takes over from the old one what an update does not change.
	keep func(n, old *N)
	// replaced is called after the row is changed.
	replaced func(ctx context.Context, tx bun.Tx, n, old *N) error
}

func (k noun[N, R]) op(verb string) string { return "catalog." + verb + k.title }

// create works on a copy: the caller's value changes only when the row is
// written.
func (k noun[N, R]) create(ctx context.Context, db *DB, n *N) error {
	op := k.op("Create")
	made := *n
	m := k.meta(&made)
	err := db.write(ctx, op, func(ctx context.Context, tx bun.Tx) error {
		made = *n
		if err := k.check(ctx, tx, &made); err != nil {
			return err
		}
		id, err := newUUID(m.UUID)
		if err != nil {
			return err
		}
		if err := k.checkFree(ctx, tx, "uuid", id); err != nil {
			return err
		}
		now := whole(time.Now())
		m.UUID, m.Version, m.CreatedAt, m.UpdatedAt = id, 1, now, now
		about(ctx, k.name, m)
		return insert(ctx, tx, k.row(&made))
	})
	if err == nil {
		*n = made
	}
	return err
}

// check validates n, its references and its name.
func (k noun[N, R]) check(ctx context.Context, tx bun.Tx, n *N) error {
	if err := k.validate(n); err != nil {
		return err
	}
	if k.resolve != nil {
		if err := k.resolve(ctx, tx, n); err != nil {
			return err
		}
	}
	m := k.meta(n)
	return k.checkFree(ctx, tx, "name", m.Name, m.UUID)
}

// checkFree returns Conflict if a row that is not one of own has the value.
func (k noun[N, R]) checkFree(ctx context.Context, tx bun.Tx, column, value string, own ...string) error {
	taken, err := tx.NewSelect().Table(k.table).
		Where("? = ?", bun.Ident(column), value).Where("uuid NOT IN (?)", bun.List(append(own, ""))).Exists(ctx)
	if err == nil && taken {
		return &shield.Error{
			Code: shield.Conflict, Field: column,
			Message: fmt.Sprintf("a %s with the %s %q exists already", k.name, column, value),
		}
	}
	return err
}

func (k noun[N, R]) get(ctx context.Context, db *DB, ref string) (*N, error) {
	var n *N
	err := db.read(ctx, "catalog."+k.title, func(ctx context.Context, q bun.IDB) (err error) {
		n, err = k.find(ctx, q, ref)
		return err
	})
	return n, err
}

// find returns what ref, a UUID or a name, refers to. No name has the form of
// a UUID.
func (k noun[N, R]) find(ctx context.Context, q bun.IDB, ref string) (*N, error) {
	row := new(R)
	found, err := findRow(ctx, k.selectRows(q, row), ref)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound(k.name, ref)
	}
	return k.noun(row), nil
}

// findRow does not ask for what is too long to be a name: bun would write it
// into the statement.
func findRow(ctx context.Context, q *bun.SelectQuery, ref string) (found bool, err error) {
	if len(ref) > shield.NameLimit {
		return false, nil
	}
	column := "name"
	if shield.IsUUID(ref) {
		column = "uuid"
	}
	return findBy(ctx, q, column, ref)
}

// findBy does not ask for what is not text: nothing has it, and bun would
// change it into something that may exist.
func findBy(ctx context.Context, q *bun.SelectQuery, column, value string) (found bool, err error) {
	if !isText(value) {
		return false, nil
	}
	err = q.Where("?TableAlias.? = ?", bun.Ident(column), value).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (k noun[N, R]) selectRows(q bun.IDB, model any) *bun.SelectQuery {
	query := q.NewSelect().Model(model)
	if k.columns != nil {
		query = k.columns(query)
	}
	return query
}

func (k noun[N, R]) list(ctx context.Context, db *DB, f shield.Filter) ([]*N, error) {
	var rows []*R
	err := db.read(ctx, "catalog."+k.plural(), func(ctx context.Context, q bun.IDB) error {
		if !askable(f) {
			return nil
		}
		return k.narrow(k.selectRows(q, &rows), f).Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	return each(rows, k.noun), nil
}

// among returns those with one of some UUIDs, by UUID.
func (k noun[N, R]) among(ctx context.Context, q bun.IDB, uuids []string) (map[string]*N, error) {
	slices.Sort(uuids)
	var rows []*R
	err := k.selectRows(q, &rows).Where("?TableAlias.uuid IN (?)", bun.List(slices.Compact(uuids))).Scan(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*N, len(rows))
	for _, n := range each(rows, k.noun) {
		found[k.meta(n).UUID] = n
	}
	return found, nil
}

func (k noun[N, R]) plural() string {
	if stem, ok := strings.CutSuffix(k.title, "y"); ok {
		return stem + "ies"
	}
	return k.title + "s"
}

func (k noun[N, R]) narrow(q *bun.SelectQuery, f shield.Filter) *bun.SelectQuery {
	q = equal(q, "name", f.Name)
	if f.Used != nil && k.jobs != "" {
		q = q.Where("? EXISTS (SELECT 1 FROM jobs WHERE jobs.? = ?TableAlias.uuid)", unless(*f.Used), bun.Ident(k.jobs))
	}
	if k.filter != nil {
		q = k.filter(q, f)
	}
	return sorted(q, f, nounOrder(k.table))
}

func (k noun[N, R]) update(ctx context.Context, db *DB, n *N) error {
	op := k.op("Update")
	made := *n
	err := db.write(ctx, op, func(ctx context.Context, tx bun.Tx) error {
		made = *n
		return k.replace(ctx, tx, &made)
	})
	if err == nil {
		*n = made
	}
	return err
}

// replace writes n over the row with its UUID, if n was made from that row as
// it is now.
func (k noun[N, R]) replace(ctx context.Context, tx bun.Tx, n *N) error {
	m := k.meta(n)
	if !shield.IsUUID(m.UUID) {
		return notFound(k.name+" with the UUID", m.UUID)
	}
	old, err := k.find(ctx, tx, m.UUID)
	if err != nil {
		return err
	}
	if k.keep != nil {
		k.keep(n, old)
	}
	if err := k.check(ctx, tx, n); err != nil {
		return err
	}
	was := k.meta(old)
	about(ctx, k.name, was)
	if m.Version != 0 && m.Version != was.Version {
		return &shield.Error{
			Code: shield.Conflict, Field: "version",
			Message: fmt.Sprintf("%s %q was changed meanwhile: version %d now, %d given", k.name, was.Name, was.Version, m.Version),
		}
	}
	m.Version, m.CreatedAt, m.UpdatedAt = was.Version+1, was.CreatedAt, whole(time.Now())
	if err := update(ctx, tx, k.row(n), m.UUID); err != nil || k.replaced == nil {
		return err
	}
	return k.replaced(ctx, tx, n, old)
}

// about tells the audit log what is changed.
func about(ctx context.Context, kind string, m *shield.Meta) {
	shield.DeedOf(ctx).About(kind + " " + m.Name + " " + m.UUID)
}

func (k noun[N, R]) remove(ctx context.Context, db *DB, ref string) error {
	return db.write(ctx, k.op("Delete"), func(ctx context.Context, tx bun.Tx) error {
		n, err := k.find(ctx, tx, ref)
		if err != nil {
			return err
		}
		m := k.meta(n)
		about(ctx, k.name, m)
		users, err := k.users(ctx, tx, m.UUID)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return &shield.Error{
				Code:    shield.InUse,
				Message: fmt.Sprintf("%s %q is used by %s", k.name, m.Name, strings.Join(users, ", ")),
			}
		}
		if k.leave != nil {
			if err := k.leave(ctx, tx, n); err != nil {
				return err
			}
		}
		_, err = tx.NewDelete().Table(k.table).Where("uuid = ?", m.UUID).Exec(ctx)
		return err
	})
}

// each maps rows to what callers see.
func each[R, N any](rows []*R, f func(*R) *N) []*N {
	ns := make([]*N, len(rows))
	for i, r := range rows {
		ns[i] = f(r)
	}
	return ns
}
