package exec

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/shieldhq/shield"
)

// A feeder copies a reader to the standard input of a plugin. It closes the
// input, which to the plugin means that the stream is complete, only after
// the reader has returned io.EOF and while nothing has failed.
type feeder struct {
	r        io.Reader
	w        *os.File
	n        atomic.Int64 // bytes that were written
	writeErr error
	probe    *os.File      // a reading end, to see what was left unread
	finished chan struct{} // closed when the plugin was given all
	done     chan struct{}
}

// Write implements io.Writer for the copy. It keeps the error, by which a
// failure of the plugin is told from one of the reader.
func (f *feeder) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	f.n.Add(int64(n))
	if err != nil {
		f.writeErr = err
	}
	return n, err
}

func (f *feeder) run(ctx context.Context, p *process) {
	defer close(f.done)
	_, err := io.CopyBuffer(struct{ io.Writer }{f}, f.r, make([]byte, copySize))
	switch {
	case f.writeErr != nil:
		f.abandoned(p)
	case err != nil:
		p.Stop(err)
	default:
		f.finish(ctx, p)
	}
}

// abandoned gives a plugin that closed its input early the time to end and
// to say why.
func (f *feeder) abandoned(p *process) {
	t := time.NewTimer(p.grace)
	defer t.Stop()
	select {
	case <-p.exited:
	case <-t.C:
		p.Stop(p.shortRead(0))
	}
}

// finish closes the input unless the call was stopped meanwhile.
func (f *feeder) finish(ctx context.Context, p *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil || ctx.Err() != nil {
		return
	}
	f.probe = openProbe(f.w)
	_ = f.w.Close()
	close(f.finished)
}

// settled is closed when the copy has ended. A nil feeder has.
func (f *feeder) settled() <-chan struct{} {
	if f == nil {
		c := make(chan struct{})
		close(c)
		return c
	}
	return f.done
}

// closeInput closes what is open after the plugin has ended, when nobody can
// take it for the end of the stream any more.
func (p *process) closeInput() {
	if p.in == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in.probe != nil {
		_ = p.in.probe.Close()
	}
	_ = p.in.w.Close()
}

// unread returns how many bytes the plugin, which has ended, left in its
// input.
func (p *process) unread() int64 {
	if p.in == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.in.w
	if p.in.probe != nil {
		f = p.in.probe
	}
	return buffered(f)
}

func (p *process) shortRead(unread int64) error {
	return shield.Errorf(shield.PluginFailed, p.op, "the plugin stopped reading after %d bytes: it must read its input to the end", p.in.n.Load()-unread)
}
