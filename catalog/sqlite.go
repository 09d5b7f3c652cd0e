package catalog

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/shieldhq/shield"
)

// A setting is a pragma that every connection of a pool must have. SQLite
// ignores what it does not understand, so what it answers is compared.
type setting struct {
	pragma string
	value  string // as the pragma is set
	answer string // as SQLite then reports it
}

func writerSettings(path string) []setting {
	journal := setting{"journal_mode", "WAL", "wal"}
	if path == Memory {
		journal = setting{"journal_mode", "MEMORY", "memory"}
	}
	return []setting{
		{"busy_timeout", "5000", "5000"},
		journal,
		{"synchronous", "FULL", "2"},
		{"foreign_keys", "1", "1"},
		{"trusted_schema", "0", "0"},
	}
}

func readerSettings(path string) []setting {
	return append(writerSettings(path), setting{"query_only", "1", "1"})
}

// dsn writes the path as a URI, in which no character of a file's name can be
// mistaken for a parameter. Transactions take the write lock when they begin:
// one that upgraded later would fail instead of waiting.
func dsn(path string, settings []setting) string {
	q := url.Values{"_txlock": {"immediate"}, "_defensive": {"1"}, "_dqs": {"0"}}
	for _, s := range settings {
		q.Add("_pragma", s.pragma+"("+s.value+")")
	}
	if path == Memory {
		return path + "?" + q.Encode()
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

const defaultReaders = 4

// openPool opens no connection yet. Connections are kept for good: for Memory
// the connection is the data, elsewhere a new one costs a millisecond.
func openPool(dsn string, conns int) *bun.DB {
	if conns == 0 {
		conns = defaultReaders
	}
	pool, err := sql.Open("sqlite", dsn)
	if err != nil { // only for a driver that is not registered
		panic("catalog: " + err.Error())
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	return bun.NewDB(pool, sqlitedialect.New())
}

func checkSettings(ctx context.Context, pool *bun.DB, settings []setting) error {
	for _, s := range settings {
		var got string
		if err := pool.DB.QueryRowContext(ctx, "PRAGMA "+s.pragma).Scan(&got); err != nil {
			return err
		}
		if got != s.answer {
			return shield.Errorf(shield.Internal, "", "SQLite has %s = %s where %s is needed", s.pragma, got, s.answer)
		}
	}
	return nil
}

// write runs f in a transaction that has the write lock from its beginning. A
// deed that ctx has is written to the audit log in the same transaction.
func (db *DB) write(ctx context.Context, op string, f func(ctx context.Context, tx bun.Tx) error) error {
	deed := shield.DeedOf(ctx)
	return db.attempt(ctx, op, func() error {
		err := db.writer.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
			if err := f(ctx, tx); err != nil {
				return err
			}
			if e := deed.Entry(); e != nil {
				return recordAudit(ctx, tx, e)
			}
			return nil
		})
		if err == nil {
			deed.Recorded()
		}
		return err
	})
}

// read runs f outside of any transaction, so f is one statement.
func (db *DB) read(ctx context.Context, op string, f func(ctx context.Context, q bun.IDB) error) error {
	return db.attempt(ctx, op, func() error { return f(ctx, db.reader) })
}

// attempt runs f and names the operation in its error.
func (db *DB) attempt(ctx context.Context, op string, f func() error) error {
	if db.closed.Load() {
		return closedError(op)
	}
	err := retry(ctx, f)
	if err != nil && db.closed.Load() {
		return closedError(op)
	}
	return fail(ctx, op, err)
}

// retry runs f again if another process keeps the file locked for longer than
// the busy timeout, or in a way for which SQLite does not wait.
func retry(ctx context.Context, f func() error) error {
	const attempts = 5
	var err error
	for i := range attempts {
		if err = f(); !isBusy(err) || !pause(ctx, 10*time.Millisecond<<i) {
			break
		}
	}
	return err
}

func closedError(op string) error {
	return &shield.Error{Code: shield.Unavailable, Op: op, Message: "the catalog is closed"}
}

// pause reports whether ctx outlived it.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// vacuumInto writes a compact copy to path. The copy appears there only when
// it is whole and on the disk.
func vacuumInto(ctx context.Context, db execer, path string) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return fileError(path, err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	defer tmp.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", tmp.Name()); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return fileError(path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fileError(path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// An execer is an *sql.DB or *sql.Conn: what binds values, where bun's write
// them into the statement.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fileError(path, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fileError(path, err) // some network file systems cannot sync a folder
	}
	return nil
}
