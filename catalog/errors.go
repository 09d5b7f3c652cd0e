package catalog

import (
	"context"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/shieldhq/shield"
)

// fail turns err into an error of the package's callers. The text of an error
// from below is dropped, since bun writes values into statements and SQLite
// quotes statements; what is left is SQLite's result code.
func fail(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	var e *shield.Error
	if errors.As(err, &e) {
		if e.Op != "" {
			return e
		}
		named := *e
		named.Op = op
		return &named
	}
	if cause := ctx.Err(); cause != nil {
		return ctxError(op, cause)
	}
	var s *sqlite.Error
	if errors.As(err, &s) {
		return sqliteError(op, s.Code())
	}
	return &shield.Error{Code: shield.Internal, Op: op, Message: fmt.Sprintf("unexpected error of type %T", err)}
}

func ctxError(op string, cause error) error {
	if errors.Is(cause, context.DeadlineExceeded) {
		return &shield.Error{Code: shield.TimedOut, Op: op, Message: "the deadline passed", Err: cause}
	}
	return &shield.Error{Code: shield.Canceled, Op: op, Message: "was canceled", Err: cause}
}

// sqliteError maps a result code of SQLite; its low byte is the family.
func sqliteError(op string, code int) error {
	e := &shield.Error{Op: op, Err: fmt.Errorf("SQLite result code %d", code)}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		e.Code, e.Message = shield.Unavailable, "another process keeps the catalog locked"
	case sqlite3.SQLITE_FULL:
		e.Code, e.Message = shield.Unavailable, "the disk of the catalog is full"
	case sqlite3.SQLITE_IOERR:
		e.Code, e.Message = shield.Unavailable, "the file of the catalog cannot be read or written"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		e.Code, e.Message = shield.Unavailable, "the file of the catalog, or its folder, is not writable"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		e.Code, e.Message = shield.Corrupt, "the file of the catalog is damaged: restore it from a copy"
	case sqlite3.SQLITE_TOOBIG:
		e.Code, e.Message = shield.Invalid, "a value is too large"
	case sqlite3.SQLITE_CONSTRAINT:
		constraintError(e, code)
	default:
		e.Code, e.Message = shield.Internal, fmt.Sprintf("SQLite refused a statement with result code %d", code)
	}
	return e
}

// constraintError is the last resort: every constraint is checked before, in
// words that name the field.
func constraintError(e *shield.Error, code int) {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		e.Code, e.Message = shield.Conflict, "exists already"
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, sqlite3.SQLITE_CONSTRAINT_TRIGGER:
		e.Code, e.Message = shield.InUse, "something refers to what is not there, or would"
	default:
		e.Code, e.Message = shield.Invalid, "a value is not allowed"
	}
}

func isBusy(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_BUSY
}

// notFound is the error for a ref that nothing has. The ref is cut: it comes
// from outside and can be of any length.
func notFound(kind, ref string) error {
	return &shield.Error{Code: shield.NotFound, Message: fmt.Sprintf("there is no %s %.100q", kind, ref)}
}
