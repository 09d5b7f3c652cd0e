package exec

import (
	"io"
	"os"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
)

// Stop stops the call because of err: the group gets SIGTERM now and SIGKILL
// after the grace. The first reason counts. A waiting Read returns at once.
func (p *process) Stop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil || p.Over() {
		return
	}
	p.cause = err
	p.afterExit = isClosed(p.exited)
	_ = p.out.SetReadDeadline(time.Unix(1, 0))
	p.signalLocked(terminate)
	p.killTimer = time.AfterFunc(p.grace, p.kill)
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signalLocked(kill)
}

// signalLocked sends a signal to the whole group. The leader, even if it has
// ended, must not have been reaped: its number could be another group's.
func (p *process) signalLocked(signal func(*os.Process)) {
	if !p.reaped {
		signal(p.proc)
	}
}

func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause
}

// Close stops a call that is still under way. It is harmless after the end.
func (p *process) Close() error {
	p.Stop(shield.Errorf(shield.Canceled, p.op, "closed before its end"))
	_ = p.Finish()
	return nil
}

// Finish waits for the end of the call, cleans up, and returns how it ended:
// nil only if the plugin did all that it should.
func (p *process) Finish() error {
	p.finishOnce.Do(p.end)
	return p.err
}

// end is called when the output has ended or the call was stopped.
func (p *process) end() {
	drained := make(chan struct{})
	go p.drain(drained)
	<-p.exited
	unread := p.unread()
	p.kill() // what the leader has left behind
	p.unwatch()
	p.settle(p.in.settled(), readerPatience)
	p.settle(p.diagDone, stragglers)
	p.settle(p.reports.over(), stragglers)
	p.settle(drained, stragglers)
	p.closeInput()
	_ = p.out.Close()
	_ = p.diagPipe.Close()
	<-drained
	<-p.diagDone
	p.reports.close()
	p.reap()
	err := p.judge(unread)
	p.cleanDir()
	p.err = err
	close(p.ended)
}

// stragglers is how long a pipe may stay open after the whole group was
// killed. Only a process that has left the group can hold it.
const stragglers = 250 * time.Millisecond

// readerPatience is how long the end of a call waits for a Read of its input
// that is under way. The Read may be stuck for good, and then the call must
// still end; what it returns later is dropped.
const readerPatience = time.Second

// drain takes what a stopped plugin still writes, so that one that waits for
// its reader can act on SIGTERM.
func (p *process) drain(done chan<- struct{}) {
	defer close(done)
	if p.failure() != nil {
		_ = p.out.SetReadDeadline(time.Time{})
	}
	_, _ = io.Copy(io.Discard, struct{ io.Reader }{p.out})
}

func (p *process) settle(done <-chan struct{}, limit time.Duration) {
	if isClosed(done) {
		return
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

func (p *process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		p.state, _ = p.proc.Wait() // fails for no child of ours
	}
	p.reaped = true
	if p.killTimer != nil {
		p.killTimer.Stop()
	}
}

// judge says how the call ended. What happened first counts: a failure of the
// plugin is not hidden by what the host did because of it.
func (p *process) judge(unread int64) error {
	good := p.state != nil && p.state.Success()
	if cause := p.failure(); cause != nil && (good || !p.afterExit) {
		return cause
	}
	if !good {
		return p.exitError()
	}
	if p.in != nil && (unread > 0 || !isClosed(p.in.finished)) {
		return p.shortRead(unread)
	}
	return nil
}

// cleanDir removes the working directory. What cannot be removed is logged:
// the call itself has ended as it has.
func (p *process) cleanDir() {
	if err := os.RemoveAll(p.dir); err != nil {
		p.cmd.Log("warning: the working directory is left behind: " + calling.Clean(err.Error()))
	}
}
