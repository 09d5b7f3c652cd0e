package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/shieldhq/shield"
)

// applicationID marks an SQLite file as a catalog: "SHLD".
const applicationID = 0x53484c44

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A migration takes the schema from the version before to its own.
type migration struct {
	version int
	name    string
	sql     string
}

// A plan is all migrations in order, from version 1 on, without a gap.
type plan []migration

func (p plan) latest() int { return len(p) }

func migrations() (plan, error) { return readPlan(migrationFiles) }

func readPlan(files fs.FS) (plan, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var p plan
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		if v, err := strconv.Atoi(number); err != nil || v != i+1 {
			return nil, shield.Errorf(shield.Internal, "", "migration %s should have number %d", name, i+1)
		}
		p = append(p, migration{version: i + 1, name: name, sql: string(text)})
	}
	return p, nil
}

// SchemaVersion returns the version of the schema that the file at path has,
// 0 for an empty file, and the one that this program wants. It changes
// nothing.
func SchemaVersion(ctx context.Context, path string) (have, want int, err error) {
	const op = "catalog.SchemaVersion"
	all, err := migrations()
	if err != nil {
		return 0, 0, fail(ctx, op, err)
	}
	path, err = cleanPath(path)
	if err != nil {
		return 0, 0, fail(ctx, op, err)
	}
	if _, err := os.Stat(path); err != nil {
		return 0, 0, fail(ctx, op, fileError(path, err))
	}
	have, err = inspect(ctx, path)
	return have, all.latest(), fail(ctx, op, err)
}

// Migrate brings the schema of the file at path up to date, as Open does.
func Migrate(ctx context.Context, path string) error {
	db, err := Open(ctx, path, nil)
	if err != nil {
		return err
	}
	return db.Close()
}

// inspect returns the schema version of a catalog, or of a file that is empty
// and may become one. It refuses any other file. It reads only.
func inspect(ctx context.Context, path string) (version int, err error) {
	pool := openPool(dsn(path, []setting{{"busy_timeout", "5000", ""}, {"query_only", "1", ""}})+"&mode=ro", 1)
	defer pool.Close()
	var id, tables int
	const q = `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema)` // at once: another process may be making the catalog
	if err := pool.DB.QueryRowContext(ctx, q).Scan(&id, &version, &tables); err != nil {
		return 0, inspectError(path, err)
	}
	if id == applicationID {
		return version, nil
	}
	if id != 0 || version != 0 || tables != 0 {
		return 0, shield.FieldErrorf("path", "%s is an SQLite database, but not a catalog of shield", path)
	}
	return 0, nil
}

func inspectError(path string, err error) error {
	var s *sqlite.Error
	if errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_NOTADB {
		return shield.FieldErrorf("path", "%s is not an SQLite database, and so not a catalog of shield", path)
	}
	return err
}

func checkNotNewer(path string, have, want int) error {
	if have > want {
		return shield.FieldErrorf("path", "%s has schema version %d and this program knows versions up to %d: use a newer shield, or a copy made before the upgrade", path, have, want)
	}
	return nil
}

// migrate applies what is missing, each step in a transaction of its own
// together with its version, so that a failed step leaves the schema before
// it whole.
func migrate(ctx context.Context, pool *sql.DB, path string, p plan) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	have, err := userVersion(ctx, conn)
	if err != nil {
		return err
	}
	if err := checkNotNewer(path, have, p.latest()); err != nil || have == p.latest() {
		return err
	}
	if err := keepCopy(ctx, conn, path, have); err != nil {
		return err
	}
	return withoutForeignKeys(ctx, conn, func() error {
		for _, m := range p[have:] {
			if err := m.apply(ctx, conn); err != nil {
				return err
			}
		}
		return nil
	})
}

// withoutForeignKeys lets a migration rebuild a table that others refer to.
// SQLite ignores the pragma inside a transaction.
func withoutForeignKeys(ctx context.Context, conn *sql.Conn, f func() error) error {
	if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = 0"); err != nil {
		return err
	}
	err := f()
	_, on := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = 1")
	return errors.Join(err, on)
}

// keepCopy keeps what an upgrade starts from. A copy of the same version from
// an upgrade that failed is replaced.
func keepCopy(ctx context.Context, conn *sql.Conn, path string, have int) error {
	if path == Memory || have == 0 {
		return nil
	}
	return vacuumInto(ctx, conn, fmt.Sprintf("%s.v%d.bak", path, have))
}

func (m migration) apply(ctx context.Context, conn *sql.Conn) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after a commit
	have, err := userVersion(ctx, tx)
	if err != nil || have >= m.version { // another process was faster
		return err
	}
	if _, err := tx.ExecContext(ctx, m.sql); err != nil {
		return m.failed(ctx, err)
	}
	if err := checkForeignKeys(ctx, tx); err != nil {
		return m.failed(ctx, err)
	}
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, m.version)
	if _, err := tx.ExecContext(ctx, mark); err != nil {
		return m.failed(ctx, err)
	}
	return tx.Commit()
}

// failed keeps the text of SQLite's error: a migration holds no values.
func (m migration) failed(ctx context.Context, err error) error {
	code := shield.CodeOf(fail(ctx, "", err))
	return &shield.Error{Code: code, Message: fmt.Sprintf("migration %s failed and left nothing behind: %v", m.name, err), Err: err}
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func userVersion(ctx context.Context, q querier) (int, error) {
	var v int
	err := q.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}

func checkForeignKeys(ctx context.Context, q querier) error {
	var broken int
	err := q.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken)
	if err == nil && broken > 0 {
		return fmt.Errorf("%d rows refer to what is not there", broken)
	}
	return err
}
