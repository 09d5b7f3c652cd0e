// Package catalog keeps the nouns of shield in one SQLite file. DB, its one
// type, is a shield.Catalog.
//
// All writes go through one connection and are on the disk when a method
// returns; reads have connections of their own and never wait for a writer.
// Another process may open the same file.
//
// Times are stored as whole milliseconds. What a method is given is cut to
// that, in the caller's value too, so that what was written equals what is
// read. The zero time is stored as NULL. CreatedAt and UpdatedAt are the
// catalog's; every other time is the caller's.
//
// No error of this package contains SQL or stored values other than names.
package catalog

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/uptrace/bun"

	"github.com/shieldhq/shield"
)

// Memory is the path of a catalog that is kept in memory and is gone when it
// is closed. It is for tests.
const Memory = ":memory:"

// Options are the optional settings of Open.
type Options struct {
	// Readers is the number of connections that read; 0 means 4.
	Readers int
}

// A DB is a catalog in an SQLite file.
type DB struct {
	path   string
	writer *bun.DB
	reader *bun.DB // the writer itself for Memory, whose data lives in one connection
	closed atomic.Bool
}

var _ shield.Catalog = (*DB)(nil)

// Open opens the catalog in the file at path and brings its schema up to
// date; before it changes the schema of a catalog with data, it keeps a copy
// beside it, named after the old version: path.v1.bak. A missing file is
// created for its owner alone (mode 0600). Nil opts mean defaults.
//
// It returns Invalid for a file that is not a catalog, or that a newer shield
// has written, and leaves such a file as it is.
func Open(ctx context.Context, path string, opts *Options) (*DB, error) {
	const op = "catalog.Open"
	if opts == nil {
		opts = &Options{}
	}
	var db *DB
	err := retry(ctx, func() (err error) {
		db, err = open(ctx, path, opts)
		return err
	})
	if err != nil {
		return nil, fail(ctx, op, err)
	}
	return db, nil
}

func open(ctx context.Context, path string, opts *Options) (*DB, error) {
	db := &DB{path: path}
	if err := db.open(ctx, opts); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, opts *Options) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	if err := db.prepareFile(ctx, all.latest()); err != nil {
		return err
	}
	db.writer = openPool(dsn(db.path, writerSettings(db.path)), 1)
	db.reader = db.writer
	if err := migrate(ctx, db.writer.DB, db.path, all); err != nil {
		return err
	}
	if db.path != Memory {
		db.reader = openPool(dsn(db.path, readerSettings(db.path)), max(opts.Readers, 0))
	}
	return errors.Join(
		checkSettings(ctx, db.writer, writerSettings(db.path)),
		checkSettings(ctx, db.reader, db.readerWants()),
	)
}

func (db *DB) readerWants() []setting {
	if db.path == Memory {
		return writerSettings(db.path)
	}
	return readerSettings(db.path)
}

// prepareFile makes the path absolute, makes sure that the file exists with
// the right mode, and refuses what is not a catalog before anything is
// written to it.
func (db *DB) prepareFile(ctx context.Context, want int) error {
	if db.path == Memory {
		return nil
	}
	path, err := cleanPath(db.path)
	if err != nil {
		return err
	}
	db.path = path
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileError(path, err)
	}
	if err := f.Close(); err != nil {
		return fileError(path, err)
	}
	have, err := inspect(ctx, path)
	if err != nil {
		return err
	}
	return checkNotNewer(path, have, want)
}

func cleanPath(path string) (string, error) {
	if path == "" {
		return "", shield.FieldErrorf("path", "is missing: the path of the catalog's file is wanted")
	}
	if !isText(path) {
		return "", shield.FieldErrorf("path", "%q is not valid UTF-8 text", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fileError(path, err)
	}
	return abs, nil
}

func fileError(path string, err error) error {
	code := shield.Unavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = shield.NotFound
	case errors.Is(err, fs.ErrExist):
		code = shield.Conflict
	}
	return &shield.Error{Code: code, Field: "path", Message: "cannot use " + path + ": " + reasonOf(err), Err: err}
}

// reasonOf is the system's reason without the path, which fileError gives.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// Close closes the catalog's file. Calls in progress end with an error, later
// ones with Unavailable. Closing twice is harmless.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	var errs []error
	for _, pool := range []*bun.DB{db.reader, db.writer} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return fail(context.Background(), "catalog.Close", errors.Join(errs...))
}

// CopyTo writes a copy of the catalog, as it is at one instant, to a new file
// at path, readable by its owner alone. Writers are not held up. It returns
// Conflict if the file exists; a copy that fails leaves no file.
func (db *DB) CopyTo(ctx context.Context, path string) error {
	const op = "catalog.CopyTo"
	path, err := cleanPath(path)
	if err != nil {
		return fail(ctx, op, err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fail(ctx, op, fileError(path, fs.ErrExist))
	}
	return db.attempt(ctx, op, func() error { return db.copyTo(ctx, path) })
}

// copyTo uses a connection of its own: SQLite refuses to VACUUM on the
// readers, which may not write, and the writer is not to be held up.
func (db *DB) copyTo(ctx context.Context, path string) error {
	pool := db.writer
	if db.path != Memory {
		pool = openPool(dsn(db.path, writerSettings(db.path)), 1)
		defer pool.Close()
	}
	return vacuumInto(ctx, pool.DB, path)
}
