package calling

import (
	"context"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// copySize is how much is moved at once.
const copySize = 256 << 10

type target struct{ s *Session }

var _ plugin.Target = (*target)(nil)

// Target returns the target with exactly the abilities that info declares.
func (s *Session) Target() plugin.Target {
	var a able.TargetAbilities
	if s.Info.Can(plugin.ActionProbe) {
		a.Prober = prober{s}
	}
	if s.Info.Can(plugin.ActionInspect) {
		a.Inspector = inspector{s}
	}
	if s.Info.Can(plugin.ActionTest) {
		a.Tester = tester{s}
	}
	if s.Info.Can(plugin.ActionValidate) {
		a.Validator = validator{s}
	}
	return able.Target(&target{s}, a)
}

// Backup copies the plugin's standard output to w. If w fails, the plugin is
// stopped and the error is w's.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	c, err := t.s.start(ctx, Request{Action: plugin.ActionBackup})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	err = copyOut(w, prompt{ctx, c})
	if err == nil && !c.Over() {
		err = shield.Errorf(shield.Internal, c.Op(), "the writer returned before the stream had ended")
	}
	if err != nil {
		c.Stop(err)
	}
	// A plugin that has ended already cannot be stopped, and ended well.
	return shield.FirstError(c.Finish(), err)
}

// A prompt call looks for itself whether ctx is done. On a busy machine the
// goroutine that stops the call is late, and the plugin fast.
type prompt struct {
	ctx context.Context
	Call
}

// Read implements io.Reader.
func (p prompt) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		p.Stop(ContextError(p.ctx, p.Op()))
	}
	return p.Call.Read(b)
}

// copyOut lets w read from r where it can, and else copies in large pieces.
func copyOut(w io.Writer, r io.Reader) error {
	if f, ok := w.(io.ReaderFrom); ok {
		_, err := f.ReadFrom(r)
		return err
	}
	_, err := io.CopyBuffer(w, r, make([]byte, copySize))
	return err
}

// Restore copies r to the plugin's standard input. An error of r is returned
// as it is. A plugin that ends well without having read all of r is an error.
// A Read of r that is still under way a second after the plugin has ended is
// left behind.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	return t.s.run(ctx, Request{Action: plugin.ActionRestore, Input: r})
}
