package exec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// exitError returns the error of a plugin that ended badly: the one that it
// reported itself, or one made of its exit status and its last diagnostics.
func (p *process) exitError() error {
	if e := p.diag.report(); e != nil && reportable[e.Code] {
		e.Op = p.op
		return e
	}
	status := -1
	how := "its exit status is unknown"
	if p.state != nil {
		status, how = p.state.ExitCode(), p.state.String()
	}
	e := shield.Errorf(p.cmd.statusCode(status), p.op, "%s", how)
	if e.Code == shield.Invalid {
		e.Field = "endpoint"
	}
	if last := p.diag.last(); last != "" {
		e.Message += ": " + last
	}
	return e
}

// reportable holds the codes that a plugin's word is taken for. Canceled,
// Interrupted and Internal are for shield to say, and become a failure of the
// plugin's side.
var reportable = map[shield.Code]bool{
	shield.Invalid: true, shield.NotFound: true, shield.Conflict: true, shield.InUse: true,
	shield.Unauthorized: true, shield.Forbidden: true, shield.Unavailable: true,
	shield.TimedOut: true, shield.Corrupt: true, shield.TargetFailed: true,
	shield.StoreFailed: true, shield.PluginFailed: true,
}

// statusCode returns the code that an exit status stands for. Status 5 is
// believed only of a plugin that knows what it means: to the original
// protocol it meant nothing, and a purge that failed must not pass for one
// whose key is gone.
func (c *command) statusCode(status int) shield.Code {
	switch {
	case status == 5 && c.extended:
		return shield.NotFound
	case status == 12 || status == 13:
		return shield.Invalid
	case status == 1 || status == 2 || status == 10 || status == 11:
		return shield.PluginFailed
	case c.role == plugin.RoleTarget:
		return shield.TargetFailed
	case c.role == plugin.RoleStore:
		return shield.StoreFailed
	}
	return shield.PluginFailed
}

// contextError says why ctx is done: TimedOut for a deadline, else Canceled.
func contextError(ctx context.Context, op string) error {
	cause := context.Cause(ctx)
	code := shield.Canceled
	if errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, shield.TimedOut) {
		code = shield.TimedOut
	}
	return shield.Errorf(code, op, "stopped: %w", cause)
}

// startError says why a program could not be started.
func (p *Plugin) startError(op string, err error) error {
	_, statErr := os.Stat(p.path)
	why := err.Error()
	switch {
	case errors.Is(err, fs.ErrNotExist) && statErr == nil:
		why = "the interpreter that it names in its #! line, or its loader, does not exist"
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		why = "this user may not execute it"
	case notRunnable(err):
		why = fmt.Sprintf("is not a program for %s/%s, nor a script with a #! line", runtime.GOOS, runtime.GOARCH)
	case busy(err):
		why = "is being written by another process (text file busy)"
	case tooLong(err):
		why = `the endpoint is too long for the command line or the environment: a plugin whose info says "endpoint": "fd" takes one of any size`
	}
	return &shield.Error{Code: shield.PluginFailed, Op: op, Message: p.path + ": " + why, Err: err}
}
