// Package pdk is what authors of Go plugins import. Main turns a
// plugin.Opener into a program that speaks the calling protocol of
// docs/plugin-protocol.md: natively as an executable, or, built for wasip1,
// as a WebAssembly module. The plugin itself sees Go interfaces only; flags,
// streams, exit statuses and the report of errors are done here.
package pdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Main runs the action that the command line asks for and exits. SIGTERM and
// SIGINT end the context of the running action; a second one ends the program
// at once.
func Main(o plugin.Opener) { os.Exit(RunProcess(o, os.Args[1:])) }

// RunProcess is Main for a program that is more than one plugin: args are the
// arguments that follow what chose this one. It returns the exit status.
func RunProcess(o plugin.Opener, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	stdin, stdout := standard()
	return Run(ctx, o, args, stdin, stdout, os.Stderr, os.Getenv)
}

// Run is Main with everything given: args without the program's name. It
// returns the exit status.
func Run(ctx context.Context, o plugin.Opener, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	c := &call{
		opener: o,
		stdin:  &input{ctx: ctx, r: stdin},
		stdout: &output{ctx: ctx, w: stdout},
		log:    logTo(stderr),
	}
	defer context.AfterFunc(ctx, func() { interrupt(stdin) })()
	err := c.serve(ctx, args, getenv)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s\n", FormatError(c.classify(err)))
	return c.exitStatus(err)
}

// A call is one action under way.
type call struct {
	request
	opener plugin.Opener
	info   plugin.Info
	stdin  *input
	stdout *output
	log    plugin.Log
}

// serve turns a panic into an error: left alone it would end the program with
// status 2, which says that the action is not supported.
func (c *call) serve(ctx context.Context, args []string, getenv func(string) string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.log(string(debug.Stack()))
			err = shield.Errorf(shield.PluginFailed, "", "panic: %v", v)
		}
	}()
	if err := c.parse(args); err != nil {
		return err
	}
	if c.info, err = c.opener.Info(ctx); err != nil {
		return err
	}
	if c.action == plugin.ActionInfo {
		return c.printInfo()
	}
	act, ok := actions[c.action]
	if !ok {
		return exitErrorf(exitUnsupported, "the action %q is not supported", c.action)
	}
	if err := c.prepare(getenv); err != nil {
		return err
	}
	return act(ctx, c)
}

func (c *call) printInfo() error {
	if err := c.info.Check(); err != nil {
		return err
	}
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	return e.Encode(c.info)
}

// logTo returns a Log that writes one whole line a call, so that the host,
// which reads lines, never sees two of them mixed.
func logTo(w io.Writer) plugin.Log {
	return func(text string) {
		for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
			_, _ = io.WriteString(w, line)
		}
	}
}
