package shield

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Code classifies an error for programs: callers branch on it, the HTTP API
// maps it to a status and the CLI to an exit status. A Code is itself an
// error, so errors.Is(err, shield.NotFound) works on any wrapped Error.
type Code string

// The codes. They are part of the wire format and never change meaning.
const (
	Invalid      Code = "invalid"      // the request is malformed: Field, value and what would be right are named
	NotFound     Code = "not_found"    // what was named does not exist
	Conflict     Code = "conflict"     // exists already, or was changed meanwhile
	InUse        Code = "in_use"       // cannot be deleted: something refers to it
	Unauthorized Code = "unauthorized" // no or wrong credentials
	Forbidden    Code = "forbidden"    // known, but not allowed
	Throttled    Code = "throttled"    // too many wrong passwords: trying later may help
	Unavailable  Code = "unavailable"  // cannot be reached or is not ready: trying later may help
	Canceled     Code = "canceled"     // stopped on request
	TimedOut     Code = "timed_out"    // a deadline or an idle limit passed
	Locked       Code = "locked"       // the store keeps it until the error's Until: try again then
	Corrupt      Code = "corrupt"      // stored bytes are not what was written
	TargetFailed Code = "target_failed"
	StoreFailed  Code = "store_failed"
	PluginFailed Code = "plugin_failed" // the plugin broke the calling protocol
	Interrupted  Code = "interrupted"   // the process running it died
	Internal     Code = "internal"      // a defect in shield
)

// Error returns the code's text.
func (c Code) Error() string { return string(c) }

// Error is the one error type of shield. Op names the failing operation
// ("catalog.CreateJob"), Field the offending input if there is one, Message
// says what is wrong and what would be right. Err is the cause; it is for
// logs and never crosses the API.
type Error struct {
	Code    Code
	Op      string
	Field   string
	Message string
	// Until is when something Locked can be removed; zero if nobody tells.
	Until time.Time
	Err   error
}

// Errorf returns an *Error whose message is formatted as by fmt.Errorf; an
// operand of the verb %w becomes its cause.
func Errorf(code Code, op, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Op: op, Message: err.Error(), Err: errors.Unwrap(err)}
}

// FieldErrorf returns an Invalid error about one input field.
func FieldErrorf(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Error returns "op: field: message". The cause is part of the message only
// where the message was formatted from it.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.Op, e.Field, e.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Message == "" {
		if e.Err != nil {
			parts = append(parts, e.Err.Error())
		} else {
			parts = append(parts, string(e.Code))
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap makes both the code and the cause reachable by errors.Is and As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// UntilOf returns the first time that an Error in err's tree has as its Until,
// zero if there is none.
func UntilOf(err error) time.Time {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if !e.Until.IsZero() {
			return e.Until
		}
		err = e.Err
	}
	return time.Time{}
}

// MayPass reports whether a failure of this code may be gone when the same is
// tried again later. It is the one table of that.
func (c Code) MayPass() bool {
	switch c {
	case Throttled, Unavailable, TimedOut, Interrupted, Locked, TargetFailed, StoreFailed:
		return true
	}
	return false // what was asked for is wrong, or what is there is
}

// MayPass reports whether what err tells of may be gone when the same is tried
// again later: all codes in its tree must allow that, since the cause of a side
// that failed says more than that it did.
func MayPass(err error) bool {
	if err == nil || !CodeOf(err).MayPass() {
		return false
	}
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		if !e.Code.MayPass() {
			return false
		}
		err = e.Err
	}
	return true
}

// CodeOf returns the code of the outermost Error in err's tree, Internal for
// a foreign error and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return Internal
}
