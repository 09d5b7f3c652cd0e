package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/sys"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// A call is one running action: an instance of the module and what feeds it.
type call struct {
	op       string
	request  *calling.Request
	instance *instance
	ctx      context.Context // of the guest; its cause is why the call was stopped
	cancel   context.CancelCauseFunc
	stdin    *ring // nil if there is no input
	fed      chan struct{}
	ended    chan struct{} // closed when err is final

	mu    sync.Mutex
	cause error // why it was stopped
	done  bool  // the guest has ended; stopping it is too late
	err   error
}

var _ calling.Call = (*call)(nil)

// start starts an action. name is that of the plugin.
func (p *Plugin) start(ctx context.Context, r *calling.Request, name string, rt rights) (calling.Call, error) {
	op := name + " " + string(r.Action)
	if ctx.Err() != nil {
		return nil, calling.ContextError(ctx, op)
	}
	c := &call{op: op, request: r, fed: make(chan struct{}), ended: make(chan struct{})}
	var expire context.CancelFunc = func() {}
	if limit := time.Duration(p.grant.Timeout); limit > 0 {
		ctx, expire = context.WithTimeoutCause(ctx, limit,
			shield.Errorf(shield.TimedOut, "", "the grant allows a call %s", limit))
	}
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	i, err := p.instance(c, name, rt)
	if err != nil {
		expire()
		c.cancel(err)
		return nil, err
	}
	c.instance = i
	unwatch := context.AfterFunc(ctx, func() { c.Stop(calling.ContextError(ctx, op)) })
	if r.Input != nil {
		go c.feed(ctx)
	} else {
		close(c.fed)
	}
	go func() {
		defer expire()
		defer unwatch()
		c.run(p)
	}()
	return c, nil
}

// instance prepares what the host keeps of the guest.
func (p *Plugin) instance(c *call, name string, rt rights) (*instance, error) {
	wake := newSignal()
	i := &instance{
		ctx: c.ctx, name: name, op: c.op, rights: rt, wake: wake, next: firstHandle,
		audit:  p.audit,
		diag:   calling.NewDiagnostics(c.request.Log, c.request.Secrets),
		stdin:  newRing(blobRing, wake, newSignal()),
		stdout: newRing(blobRing, newSignal(), wake),
		dialer: &net.Dialer{Resolver: p.host.options.Resolver},
		memory: &budget{limit: memoryFor(rt.needs.Memory, p.grant.Memory)},
	}
	if c.request.Input == nil {
		i.stdin.finish(io.EOF)
	} else {
		c.stdin = i.stdin
	}
	i.handles = map[int32]handle{
		stdinHandle:  &stream{in: i.stdin},
		stdoutHandle: &stream{out: i.stdout},
	}
	return i, i.mount()
}

// audit passes on a use of what was not granted.
func (p *Plugin) audit(e Event) {
	if p.host.options.Audit != nil {
		e.Digest = p.digest
		p.host.options.Audit(e)
	}
}

// feed copies the input to the guest. Only after io.EOF, and while nothing
// has failed, does the guest see an end: to it that means that the stream is
// complete.
func (c *call) feed(ctx context.Context) {
	defer close(c.fed)
	err := c.stdin.fill(c.ctx, c.request.Input)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cause != nil || c.ctx.Err() != nil:
	case ctx.Err() != nil:
		// An end that comes after the cancellation may be no end at all.
		c.stopLocked(calling.ContextError(ctx, c.op))
	case err == nil:
		c.stdin.finish(io.EOF)
	case !c.done:
		c.stopLocked(err)
	}
}

// run runs the guest to its end and says how that was.
func (c *call) run(p *Plugin) {
	i := c.instance
	err := guarded(func() error { return p.execute(c) })
	c.mu.Lock()
	c.done = true
	c.mu.Unlock()
	i.diag.Flush()
	if c.stdin != nil {
		c.settle()
	}
	if err = c.judge(err); err != nil {
		c.cancel(err) // what is open is torn down, so that nobody takes it for whole
	}
	i.end()
	c.cancel(nil)
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.ended)
	i.stdout.finish(io.EOF)
}

// execute runs the action by the module's way of being called.
func (p *Plugin) execute(c *call) error {
	defer runtime.KeepAlive(p) // else its program might be freed while it runs
	if p.program.extism != nil {
		return p.runExtism(c)
	}
	return p.runCommand(c)
}

// guarded turns a panic into an error: a guest must not be able to end the
// process of its host.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the sandbox failed: %v", v)
		}
	}()
	return f()
}

const (
	// readGrace is how long the input may take to tell its end to a guest that
	// has already read all there was.
	readGrace = 5 * time.Second
	// stopGrace is how long a stopped call waits for its input to return.
	stopGrace = 250 * time.Millisecond
)

// settle waits until the input is not read any more.
func (c *call) settle() {
	c.stdin.abandon(errPipe)
	grace := readGrace
	if c.failure() != nil || c.ctx.Err() != nil {
		grace = stopGrace
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.fed:
	case <-c.ctx.Done():
		<-time.After(min(stopGrace, grace))
	case <-t.C:
	}
}

// judge says how the call ended. Why it was stopped counts more than how the
// guest took that: one that was freed from waiting may well exit with 0.
func (c *call) judge(err error) error {
	if cause := c.failure(); cause != nil {
		return cause
	}
	if err := c.instance.forbidden(err != nil); err != nil {
		return err
	}
	if err != nil {
		return c.exitError(err)
	}
	if c.stdin == nil {
		return nil
	}
	if r, w, end := c.stdin.counts(); r != w || !errors.Is(end, io.EOF) {
		return shield.Errorf(shield.PluginFailed, c.op, "the plugin stopped reading after %d bytes: it must read its input to the end", r)
	}
	return nil
}

// exitError returns the error of a guest that ended badly.
func (c *call) exitError(err error) error {
	status, how := -1, trap(err)
	var exit *sys.ExitError
	var answer *answerError
	switch {
	case errors.As(err, &exit):
		status, how = int(exit.ExitCode()), fmt.Sprintf("exit status %d", exit.ExitCode())
	case errors.As(err, &answer):
		status, how = answer.status, answer.Error()
	}
	if b := c.instance.memory; b.refused.Load() {
		how += fmt.Sprintf(" (the plugin wanted more memory than the %s that it may have)", plugin.Size(b.limit))
	}
	return c.request.ExitError(c.op, status, how, c.instance.diag)
}

// Op returns the name of the call in errors.
func (c *call) Op() string { return c.op }

// Stop ends the guest because of err. The first reason counts.
func (c *call) Stop(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.stopLocked(err)
	}
}

func (c *call) stopLocked(err error) {
	if c.cause != nil {
		return
	}
	c.cause = err
	c.cancel(err)
	c.instance.stdout.finish(err)
}

func (c *call) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Read gives the guest's output.
func (c *call) Read(p []byte) (int, error) {
	out := c.instance.stdout
	n, _ := out.take(context.Background(), p)
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	if err := c.Finish(); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// Finish waits for the end of the call.
func (c *call) Finish() error {
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Over reports whether the call has ended.
func (c *call) Over() bool { return isClosed(c.ended) }

// Close stops a call that is still under way.
func (c *call) Close() error {
	c.Stop(shield.Errorf(shield.Canceled, c.op, "closed before its end"))
	_ = c.Finish()
	return nil
}
