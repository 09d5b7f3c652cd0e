// Package child runs the programs that native plugins are made around, like
// rclone and restic, which need networks and files of their own.
//
// A program that is to end is interrupted first, so that it can abort its
// uploads and remove its locks, and killed after a grace. Its input stays open
// until it has ended, unless the input came to a good end: it never takes a
// part for the whole. One that moves no byte for too long is ended as well.
// What is secret reaches it by its environment or by files in a private
// folder, never by its command line.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A Program is one that is installed on this host.
type Program struct {
	// Name is what it is called, Path where it is: a name on PATH, the program
	// itself, or the folder that holds it. Empty is Name.
	Name, Path string
	// Field is the field of the endpoint that Path is from, Package the Debian
	// package that has the program.
	Field, Package string
	// Env is added to the environment, as "NAME=value".
	Env []string
	// Files are put into the private folder that the program works in and that
	// is removed in the end; "./NAME" is the path to tell it.
	Files map[string]string
	// Secrets are blotted out of what the program writes to standard error.
	Secrets []string
	// Stall ends a program that has moved no byte for so long, while nothing
	// else was waited for. Grace is how long it has to end then.
	Stall, Grace time.Duration
	// Log gets what the program writes to standard error; nil is for nobody.
	Log plugin.Log
}

// A Run is one run of a program.
type Run struct {
	Args   []string
	Env    []string  // beside that of the program
	Stdin  *Input    // nil is an empty one
	Stdout io.Writer // nil is none
}

// A Failure is how a program ended that did not succeed by itself.
type Failure struct {
	Name   string
	Status int      // its exit status; -1 if a signal has ended it
	State  string   // in words
	Lines  []string // of standard error, the last ones
}

// Error returns the state and the last lines.
func (f *Failure) Error() string { return f.Name + ": " + f.State + quote(f.Lines) }

func quote(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines[max(0, len(lines)-quoted):], "; ")
}

// Says reports whether the program has said one of the texts, without regard
// to case.
func (f *Failure) Says(texts ...string) bool {
	for _, line := range f.Lines {
		for _, text := range texts {
			if strings.Contains(strings.ToLower(line), strings.ToLower(text)) {
				return true
			}
		}
	}
	return false
}

// Run runs the program to its end; it begins when the input gives something. The error is the cause of ctx, that of the
// input or of the output, Unavailable for a program that hung, Invalid or
// StoreFailed for one that is not there, and a *Failure for any end but exit
// status 0.
func (p *Program) Run(ctx context.Context, r Run) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	path, err := p.find()
	if err != nil {
		return err
	}
	if err := r.Stdin.wait(ctx); err != nil {
		return err
	}
	dir, err := p.folder()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c := &call{program: p, ctx: ctx, lines: newLines(p.Log, p.Secrets), watch: newWatch(), running: make(chan struct{}), exited: make(chan struct{}), stopped: make(chan struct{})}
	return c.run(r.Stdin, func() *exec.Cmd {
		cmd := exec.Command(path, r.Args...)
		cmd.Dir, cmd.WaitDelay = dir, 2*time.Second
		cmd.Env = append(append(environ(), p.Env...), r.Env...)
		cmd.Stderr = c.lines
		if r.Stdout != nil {
			cmd.Stdout = &output{w: r.Stdout, call: c}
		}
		attributes(cmd)
		return cmd
	})
}

// find returns the path of the program.
func (p *Program) find() (string, error) {
	path := p.Path
	if path == "" {
		path = p.Name
	} else if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		path = filepath.Join(path, p.Name)
	}
	found, err := exec.LookPath(path)
	switch {
	case err == nil:
		return found, nil
	case p.Path == "":
		return "", shield.Errorf(shield.StoreFailed, "", "the program %s is not there: install Debian's package %s, or name its path in %s", p.Name, p.Package, p.Field)
	case errors.Is(err, fs.ErrPermission):
		return "", shield.FieldErrorf("endpoint."+p.Field, "is %s, which is not executable", p.Path)
	}
	return "", shield.FieldErrorf("endpoint."+p.Field, "is %s: there is no %s; install Debian's package %s, or name another path", p.Path, p.Name, p.Package)
}

// folder makes the private folder.
func (p *Program) folder() (string, error) {
	dir, err := os.MkdirTemp("", "shield-plugin-")
	if err != nil {
		return "", err
	}
	for name, content := range p.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// environ is the environment without the plugin's own endpoint.
func environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SHIELD_") {
			env = append(env, v)
		}
	}
	return env
}

// A call is a running program.
type call struct {
	program *Program
	ctx     context.Context
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	lines   *lines
	watch   *watch
	running chan struct{} // closed when cmd is there
	exited  chan struct{} // closed when it has ended
	stopped chan struct{} // closed when it was told to end
	stop    stopOnce
}

// run starts the program and waits for it, on one thread: the kernel ends the
// program when the thread that started it ends.
func (c *call) run(in *Input, command func() *exec.Cmd) error {
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		c.cmd, c.stdin, err = start(command, in != nil)
		started <- err
		if err == nil {
			close(c.running)
			ended <- c.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return shield.Errorf(shield.StoreFailed, "", "%s cannot be started: %w", c.program.Name, err)
	}
	defer context.AfterFunc(c.ctx, func() { c.end(context.Cause(c.ctx)) })()
	go c.watch.run(c)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		if in != nil {
			in.feed(c)
		}
	}()
	err := <-ended
	close(c.exited)
	<-fed
	return c.verdict(err)
}

// start starts a program. It tries again while the file is busy: one that was
// just written is, as long as another child that is being started holds its
// descriptor.
func start(command func() *exec.Cmd, input bool) (cmd *exec.Cmd, stdin io.WriteCloser, err error) {
	for pause := time.Millisecond; ; pause *= 2 {
		cmd = command()
		if input {
			if stdin, err = cmd.StdinPipe(); err != nil {
				return nil, nil, err
			}
		}
		if err = cmd.Start(); err == nil || !busy(err) || pause > 200*time.Millisecond {
			return cmd, stdin, err
		}
		time.Sleep(pause)
	}
}

// verdict says how the program ended.
func (c *call) verdict(err error) error {
	if cause := c.stop.cause(); cause != nil {
		return cause
	}
	if err == nil {
		return nil
	}
	status := -1
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = exit.ExitCode()
	}
	return &Failure{Name: c.program.Name, Status: status, State: err.Error(), Lines: c.lines.all()}
}

// end tells the program to end, because of err, and kills it after the grace.
func (c *call) end(err error) {
	if !c.stop.set(err) {
		return
	}
	close(c.stopped)
	go func() {
		<-c.running // it may have written before it was known to be started
		c.settle()
		interrupt(c.cmd)
		select {
		case <-c.exited:
		case <-time.After(c.program.Grace):
			kill(c.cmd)
		}
	}()
}

// settleTime is for how long a program may leave its input unread before it is
// interrupted all the same.
const settleTime = 2 * time.Second

// settle waits until the program has read what it was given. One that has not
// is still beginning, and restic then leaves the lock that it was making.
func (c *call) settle() {
	late := time.After(settleTime)
	for unread(c.stdin) {
		select {
		case <-c.exited:
			return
		case <-late:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// hangs is the error of a program that moved no byte.
func (c *call) hangs() error {
	return shield.Errorf(shield.Unavailable, "", "%s hangs: it moved no byte for %s%s", c.program.Name, c.program.Stall, quote(c.lines.all()))
}

// An output passes on what the program writes.
type output struct {
	w    io.Writer
	call *call
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.call.watch.pause()
	n, err := o.w.Write(p)
	o.call.watch.resume()
	if err != nil {
		o.call.end(fmt.Errorf("the output of %s: %w", o.call.program.Name, err))
	}
	return n, err
}
