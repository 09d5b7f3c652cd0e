package calling

import (
	"context"
	"errors"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// reportable holds the codes that a plugin's word is taken for. Canceled,
// Interrupted and Internal are for shield to say, and become a failure of the
// plugin's side.
var reportable = map[shield.Code]bool{
	shield.Invalid: true, shield.NotFound: true, shield.Conflict: true, shield.InUse: true,
	shield.Unauthorized: true, shield.Forbidden: true, shield.Unavailable: true,
	shield.TimedOut: true, shield.Locked: true, shield.Corrupt: true, shield.TargetFailed: true,
	shield.StoreFailed: true, shield.PluginFailed: true,
}

// ExitError returns the error of a plugin that ended badly: the one that it
// reported itself, or one made of its exit status, how it ended in words, and
// its last diagnostics.
func (r *Request) ExitError(op string, status int, how string, d *Diagnostics) error {
	if e := d.report(); e != nil && reportable[e.Code] {
		e.Op = op
		return e
	}
	e := shield.Errorf(r.statusCode(status), op, "%s", how)
	if e.Code == shield.Invalid {
		e.Field = "endpoint"
	}
	if last := d.last(); last != "" {
		e.Message += ": " + last
	}
	return e
}

// statusCode returns the code that an exit status stands for. Status 5 is
// believed only of a plugin that knows what it means: to the original
// protocol it meant nothing, and a purge that failed must not pass for one
// whose key is gone.
func (r *Request) statusCode(status int) shield.Code {
	switch {
	case status == 5 && r.Extended:
		return shield.NotFound
	case status == 12 || status == 13:
		return shield.Invalid
	case status == 1 || status == 2 || status == 10 || status == 11:
		return shield.PluginFailed
	case r.Role == plugin.RoleTarget:
		return shield.TargetFailed
	case r.Role == plugin.RoleStore:
		return shield.StoreFailed
	}
	return shield.PluginFailed
}

// ContextError says why ctx is done: TimedOut for a deadline, else Canceled.
func ContextError(ctx context.Context, op string) error {
	cause := context.Cause(ctx)
	code := shield.Canceled
	if errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, shield.TimedOut) {
		code = shield.TimedOut
	}
	return shield.Errorf(code, op, "stopped: %w", cause)
}
