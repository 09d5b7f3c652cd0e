package pdk

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// The exit statuses. All but exitNotFound are the original protocol's.
const (
	exitOK          = 0
	exitUsage       = 1
	exitUnsupported = 2
	exitExec        = 3 // a program that the plugin ran has failed
	exitPlugin      = 4
	exitNotFound    = 5
	exitJSON        = 10
	exitNoKey       = 11
	exitMissing     = 12 // the endpoint lacks a field
	exitBadEndpoint = 13
)

// An exitError is an error with an exit status of its own.
type exitError struct {
	status int
	err    error
}

func exitErrorf(status int, format string, args ...any) error {
	return &exitError{status, shield.Errorf(shield.PluginFailed, "", format, args...)}
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exitStatus returns the status that stands for err.
func (c *call) exitStatus(err error) int {
	var own *exitError
	if errors.As(err, &own) {
		return own.status
	}
	var e *shield.Error
	if errors.As(err, &e) && e.Code == shield.NotFound {
		return exitNotFound
	}
	if e != nil && e.Code == shield.Invalid && strings.HasPrefix(e.Field, "endpoint") {
		if c.lacks(strings.TrimPrefix(e.Field, "endpoint.")) {
			return exitMissing
		}
		return exitBadEndpoint
	}
	// The interface is that of *exec.ExitError; naming the type would link
	// os/exec into every guest.
	var child interface{ ExitCode() int }
	if errors.As(err, &child) {
		return exitExec
	}
	return exitPlugin
}

func (c *call) lacks(field string) bool {
	m, err := c.endpoint.Fields()
	if err != nil {
		return false
	}
	known := false
	for n := range c.info.Fields {
		known = known || c.info.Fields[n].Name == field
	}
	return known && (m[field] == nil || m[field] == "")
}

// classify returns err as an Error of shield's. A foreign error is blamed on
// the side that the action serves.
func (c *call) classify(err error) *shield.Error {
	var own *exitError
	if errors.As(err, &own) {
		err = own.err
	}
	if e, ok := err.(*shield.Error); ok {
		return e
	}
	code := shield.CodeOf(err)
	if code == shield.Internal {
		code = failureOf(c.role)
	}
	return &shield.Error{Code: code, Message: err.Error(), Until: shield.UntilOf(err)}
}

func failureOf(r plugin.Role) shield.Code {
	switch r {
	case plugin.RoleTarget:
		return shield.TargetFailed
	case plugin.RoleStore:
		return shield.StoreFailed
	}
	return shield.PluginFailed
}

// errorPrefix begins the error line.
const errorPrefix = "shield-error: "

// messageLimit keeps an error line below the 4 KiB that a host reads of one.
const messageLimit = 2000

type errorLine struct {
	Code    shield.Code `json:"code"`
	Field   string      `json:"field,omitempty"`
	Message string      `json:"message"`
	Until   time.Time   `json:"until,omitzero"`
}

// FormatError returns the error line for e: the last line of standard error,
// by which an error keeps its code and its field across processes.
func FormatError(e *shield.Error) string {
	message := (&shield.Error{Code: e.Code, Op: e.Op, Message: e.Message, Err: e.Err}).Error()
	message = strings.ToValidUTF8(message[:min(len(message), messageLimit)], "\uFFFD")
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(errorLine{Code: e.Code, Field: e.Field, Message: message, Until: encodable(shield.UntilOf(e))}) // strings always encode
	return errorPrefix + strings.TrimSuffix(b.String(), "\n")
}

// encodable drops a time whose year JSON cannot hold.
func encodable(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// ParseError returns the error that FormatError wrote in line, nil if line is
// no error line. Nothing in it is to be trusted.
func ParseError(line string) *shield.Error {
	text, ok := strings.CutPrefix(line, errorPrefix)
	if !ok {
		return nil
	}
	var e errorLine
	if err := json.Unmarshal([]byte(text), &e); err != nil || e.Code == "" {
		return nil
	}
	return &shield.Error{Code: e.Code, Field: e.Field, Message: e.Message, Until: e.Until}
}
