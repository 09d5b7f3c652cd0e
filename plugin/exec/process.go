package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// copySize is how much is moved at once between a pipe and its other end.
const copySize = 256 << 10

// A process is one running call. Reading it gives the plugin's standard
// output, and io.EOF only after the plugin has ended well.
type process struct {
	op       string
	cmd      *command
	grace    time.Duration
	attr     *os.ProcAttr
	argv     []string
	dir      string // private, removed at the end
	proc     *os.Process
	state    *os.ProcessState
	out      *os.File // reading end of standard output
	in       *feeder  // nil for a plugin without input
	diag     *calling.Diagnostics
	diagPipe *os.File
	diagDone chan struct{}
	reports  *reports      // nil if none are wanted
	children []*os.File    // ends that the plugin holds
	exited   chan struct{} // closed when the leader has ended
	ended    chan struct{} // closed when all is over and err is final
	unwatch  func() bool
	waited   time.Duration // for output, after the leader's end

	mu         sync.Mutex
	cause      error // why the call was stopped
	afterExit  bool  // it was stopped after the leader had ended
	reaped     bool
	killTimer  *time.Timer
	finishOnce sync.Once
	err        error
}

// Start starts a call. The caller must Finish or Close it.
func (p *Plugin) Start(ctx context.Context, r *calling.Request) (calling.Call, error) {
	op := p.op(r.Action)
	if ctx.Err() != nil {
		return nil, calling.ContextError(ctx, op)
	}
	pr := &process{op: op, cmd: &command{r}, grace: p.options.Grace, exited: make(chan struct{}), ended: make(chan struct{}), diagDone: make(chan struct{})}
	if err := pr.prepare(p); err != nil {
		pr.discard()
		return nil, shield.Errorf(shield.Unavailable, op, "cannot be started: %w", err)
	}
	started := make(chan error)
	go pr.run(started)
	err := <-started
	pr.closeChildren()
	if err != nil {
		pr.discard()
		return nil, p.startError(op, err)
	}
	go pr.readDiagnostics()
	pr.reports.run(r.Action, p.options.Report)
	pr.unwatch = context.AfterFunc(ctx, func() { pr.Stop(calling.ContextError(ctx, op)) })
	if pr.in != nil {
		go pr.in.run(ctx, pr)
	}
	return pr, nil
}

// prepare makes the directory and the pipes.
func (p *process) prepare(pl *Plugin) (err error) {
	if p.dir, err = os.MkdirTemp("", "shield-plugin-"); err != nil {
		return err
	}
	stdin, err := p.prepareInput()
	if err != nil {
		return err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return err
	}
	p.out, p.children = out, append(p.children, stdout)
	enlarge(out)
	diag, stderr, err := os.Pipe()
	if err != nil {
		return err
	}
	p.diagPipe, p.children = diag, append(p.children, stderr)
	p.diag = calling.NewDiagnostics(p.cmd.Log, p.cmd.Secrets)
	files := []*os.File{stdin, stdout, stderr}
	if p.cmd.Endpoint != nil && p.cmd.Delivery == plugin.DeliverFD {
		f, err := secretFile(p.cmd.Endpoint)
		if err != nil {
			return err
		}
		p.children = append(p.children, f)
		files = append(files, f)
	}
	env := p.cmd.environ(p.dir, &pl.options)
	if pl.options.Report != nil {
		w, err := p.prepareReports()
		if err != nil {
			return err
		}
		env = append(env, fmt.Sprintf("SHIELD_REPORT_FD=%d", len(files)))
		files = append(files, w)
	}
	p.argv = p.cmd.argv(pl.path, pl.options.Args)
	p.attr = &os.ProcAttr{Dir: p.dir, Env: env, Files: files, Sys: attributes()}
	return nil
}

func (p *process) prepareInput() (*os.File, error) {
	if p.cmd.Input == nil {
		f, err := os.Open(os.DevNull)
		p.children = append(p.children, f)
		return f, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	enlarge(w)
	p.children = append(p.children, r)
	p.in = &feeder{r: p.cmd.Input, w: w, finished: make(chan struct{}), done: make(chan struct{})}
	return r, nil
}

func (p *process) closeChildren() {
	for _, f := range p.children {
		_ = f.Close()
	}
	p.children = nil
}

// discard undoes prepare for a process that never ran.
func (p *process) discard() {
	p.closeChildren()
	if p.out != nil {
		_ = p.out.Close()
	}
	if p.in != nil {
		_ = p.in.w.Close()
	}
	if p.diagPipe != nil {
		_ = p.diagPipe.Close()
	}
	if p.reports != nil {
		_ = p.reports.pipe.Close()
	}
	_ = os.RemoveAll(p.dir)
}

// run starts the leader and waits for its end on one thread. The thread is
// kept because the kernel kills the plugin when the thread that started it
// ends (see attributes), which without the lock could be any time.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	proc, err := spawn(p.argv, p.attr)
	p.proc = proc
	started <- err
	if err != nil {
		return
	}
	p.await()
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.exited)
	if p.cause == nil {
		_ = p.out.SetReadDeadline(time.Now().Add(p.grace))
	}
}

// spawn tries again while the file is busy: a file that this process has just
// written is busy as long as a child that is being started elsewhere holds a
// copy of the descriptor, between its fork and its exec.
func spawn(argv []string, attr *os.ProcAttr) (*os.Process, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		proc, err := os.StartProcess(argv[0], argv, attr)
		if err == nil || !busy(err) || pause > 200*time.Millisecond {
			return proc, err
		}
		time.Sleep(pause)
	}
}

// Read implements io.Reader.
func (p *process) Read(b []byte) (int, error) {
	if p.Over() {
		return 0, p.endOfStream()
	}
	n, err := p.readOut(b)
	if n > 0 || err == nil {
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		p.Stop(p.outputError(err))
	}
	_ = p.Finish()
	return 0, p.endOfStream()
}

func (p *process) endOfStream() error {
	if p.err != nil {
		return p.err
	}
	return io.EOF
}

// readOut reads standard output. After the leader's end it waits for more,
// in all, no longer than the grace: then another process holds the pipe.
func (p *process) readOut(b []byte) (int, error) {
	select {
	case <-p.exited:
	default:
		return p.out.Read(b)
	}
	p.mu.Lock()
	if p.cause == nil {
		_ = p.out.SetReadDeadline(time.Now().Add(p.grace - p.waited))
	}
	p.mu.Unlock()
	from := time.Now()
	n, err := p.out.Read(b)
	p.waited += time.Since(from)
	return n, err
}

func (p *process) outputError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return shield.Errorf(shield.PluginFailed, p.op, "the plugin has ended, but a process that it started still held its standard output after %s", p.grace)
	}
	return shield.Errorf(shield.PluginFailed, p.op, "reading standard output: %w", err)
}

// Op returns the name of the call in errors.
func (p *process) Op() string { return p.op }

func (p *process) readDiagnostics() {
	defer close(p.diagDone)
	_, _ = p.diag.ReadFrom(p.diagPipe)
}

// Over reports whether the process was finished.
func (p *process) Over() bool { return isClosed(p.ended) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
