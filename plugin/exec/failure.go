package exec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/shieldhq/shield"
)

// exitError returns the error of a plugin that ended badly.
func (p *process) exitError() error {
	status, how := -1, "its exit status is unknown"
	if p.state != nil {
		status, how = p.state.ExitCode(), p.state.String()
	}
	return p.cmd.ExitError(p.op, status, how, p.diag)
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
