package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shieldhq/shield/plugin"
)

type execDescriptor struct {
	Cmd    string            `json:"cmd"`
	Folder string            `json:"folder"` // where the program is, if not in the usual ones
	Args   []string          `json:"args"`
	Env    map[string]string `json:"env"`
	Files  map[string]string `json:"files"`  // put into the folder that the program works in
	Stderr bool              `json:"stderr"` // is for the guest, instead of diagnostics
	Tail   int               `json:"tail"`   // how much of the end of the output stat tells
}

// safePath is where programs without a path are looked for, and the PATH
// that they get.
const safePath = "/usr/local/bin:/usr/bin:/bin"

// defaultEnv is what a plugin may set for a program whose grant says nothing:
// credentials and locale, and nothing that makes programs load or run code.
var defaultEnv = []string{"PG*", "MYSQL_PWD", "REDISCLI_AUTH", "LANG", "LC_*", "TZ"}

// openExec starts a command. What is written to the handle is its standard
// input, what is read from it its standard output.
func (i *instance) openExec(d *execDescriptor) (handle, error) {
	if !i.rights.needs.MayExec(d.name()) || !i.rights.bound.MayExec(d.name()) {
		return nil, i.deny("exec", "run %q", d.name())
	}
	rule := d.rule(i.rights.grant)
	if err := i.checkCommand(d, &rule); err != nil {
		return nil, err
	}
	program, err := d.program(&rule)
	if err != nil {
		return nil, i.errorf(errNoEntry, "the program of the command %s: %v", d.Cmd, err)
	}
	dir, err := d.workFolder()
	if err != nil {
		return nil, i.errorf(errInvalid, "the files of the command %s: %v", d.Cmd, err)
	}
	c := &child{dir: dir, diag: i.diag, tail: tail{limit: d.Tail}, ended: make(chan struct{})}
	if d.Stderr {
		c.complaints = newComplaints(i.wake)
		c.diag = c.complaints
	}
	c.ctx, c.cancel = context.WithCancel(i.ctx)
	c.stream = &stream{
		in: newRing(streamRing, i.wake, newSignal()), out: newRing(streamRing, newSignal(), i.wake),
		status: c.status, end: c.cancel,
	}
	c.cmd = c.command(program, append(slices.Clone(rule.Args), d.Args...), environment(dir, d.Env))
	return c, i.start(c, d.Cmd)
}

// start starts the child and what serves it.
func (i *instance) start(c *child, name string) error {
	stdin, stdout, err := c.pipes()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		c.cancel()
		_ = os.RemoveAll(c.dir)
		return fmt.Errorf("%s cannot be started: %w", name, err)
	}
	i.pump(func() { c.feed(stdin) })
	i.pump(func() { c.run(i, stdout) })
	return nil
}

// checkCommand looks at what the plugin wants to say to the program.
func (i *instance) checkCommand(d *execDescriptor, rule *plugin.Command) error {
	if d.Tail < 0 || d.Tail > tailLimit {
		return i.errorf(errInvalid, "tail is %d: at most %d bytes can be kept", d.Tail, tailLimit)
	}
	for _, arg := range d.Args {
		if strings.ContainsRune(arg, 0) {
			return i.errorf(errInvalid, "an argument has a NUL character")
		}
		if flag := denied(arg, rule.Deny); flag != "" {
			return i.deny("exec", "run %s with %s, which is denied", d.Cmd, flag)
		}
	}
	allowed := rule.Env
	if len(allowed) == 0 {
		allowed = defaultEnv
	}
	for name, value := range d.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return i.errorf(errInvalid, "env has something that is no variable")
		}
		if !slices.ContainsFunc(allowed, func(pattern string) bool { return coversName(pattern, name) }) {
			return i.deny("exec", "set the variable %s for %s", name, d.Cmd)
		}
	}
	return nil
}

func coversName(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// denied returns the flag that an argument uses although it must not. It is
// strict: programs take a long flag by any beginning of it, and a short one
// from the middle of a cluster, so that "-vf" is -v and -f.
func denied(arg string, deny []string) string {
	if len(arg) < 2 || arg[0] != '-' {
		return ""
	}
	name, _, _ := strings.Cut(arg, "=")
	for _, flag := range deny {
		long := len(flag) > 2
		switch {
		case name == flag, long && strings.HasPrefix(arg, flag):
			return flag
		case long && strings.HasPrefix(name, "--") && len(name) > 2 && strings.HasPrefix(flag, name):
			return flag
		case !long && arg[1] != '-' && strings.ContainsRune(arg[1:], rune(flag[1])):
			return flag
		}
	}
	return ""
}

func environment(dir string, own map[string]string) []string {
	env := []string{"PATH=" + safePath, "HOME=" + dir, "TMPDIR=" + dir}
	if _, ok := own["LANG"]; !ok {
		env = append(env, "LANG=C.UTF-8")
	}
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	return env
}

// A child is a program that runs for a guest, in a process group and a folder
// of its own. None of it outlives the handle.
type child struct {
	*stream
	ctx    context.Context
	cancel context.CancelFunc
	cmd    *exec.Cmd
	dir    string
	diag   io.Writer
	tail   tail
	ended  chan struct{}

	complaints *complaints // nil if they are diagnostics

	mu   sync.Mutex
	info map[string]any
}

func (c *child) command(program string, args, env []string) *exec.Cmd {
	cmd := exec.CommandContext(c.ctx, program, args...)
	cmd.Env, cmd.Dir, cmd.Stderr = env, c.dir, c.diag
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = time.Second
	return cmd
}

func (c *child) pipes() (stdin io.WriteCloser, stdout io.ReadCloser, err error) {
	if stdin, err = c.cmd.StdinPipe(); err == nil {
		stdout, err = c.cmd.StdoutPipe()
	}
	enlarge(stdin)
	enlarge(stdout)
	return stdin, stdout, err
}

// feed closes the child's input only where the guest has ended it: a child
// must not take what was cut off for the whole.
func (c *child) feed(stdin io.WriteCloser) {
	err := c.out.drain(c.ctx, paceOut(stdin))
	if errors.Is(err, os.ErrClosed) {
		err = errPipe // the program has ended, and its end of the pipe with it
	}
	if err != nil {
		c.out.abandon(fmt.Errorf("the command has stopped reading: %w", err))
	}
	if err == nil || c.ctx.Err() == nil {
		_ = stdin.Close()
	}
}

func (c *child) run(i *instance, stdout io.Reader) {
	defer c.cancel()
	i.pump(func() {
		defer close(c.ended)
		if awaitExit(c.cmd.Process) {
			_ = killGroup(c.cmd.Process) // what the leader has left behind, and holds its output open
		}
	})
	err := c.in.fill(c.ctx, c.tail.of(paceIn(stdout)))
	<-c.ended
	waitErr := c.cmd.Wait()
	_ = os.RemoveAll(c.dir)
	c.mu.Lock()
	c.info = map[string]any{"exit": c.cmd.ProcessState.ExitCode(), "state": c.cmd.ProcessState.String()}
	if c.tail.limit > 0 {
		c.info["tail"] = c.tail.end()
	}
	c.mu.Unlock()
	if c.complaints != nil {
		c.complaints.finish()
	}
	c.out.abandon(errPipe)
	if err == nil && waitErr != nil && !errors.As(waitErr, new(*exec.ExitError)) {
		err = waitErr
	}
	if err != nil {
		c.in.finish(err)
	} else {
		c.in.finish(io.EOF)
	}
	nudge(i.wake)
}

func (c *child) status() (map[string]any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.info == nil {
		return nil, errAgain
	}
	return c.info, nil
}
