package exec

import (
	"context"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type target struct{ s *session }

var _ plugin.Target = (*target)(nil)

func (s *session) target() plugin.Target {
	t := &target{s}
	switch test, validate := s.info.Can(plugin.ActionTest), s.info.Can(plugin.ActionValidate); {
	case test && validate:
		return struct {
			*target
			tester
			validator
		}{t, tester{s}, validator{s}}
	case test:
		return struct {
			*target
			tester
		}{t, tester{s}}
	case validate:
		return struct {
			*target
			validator
		}{t, validator{s}}
	}
	return t
}

// Backup copies the plugin's standard output to w. If w fails, the plugin is
// stopped and the error is w's.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	p, err := t.s.start(ctx, plugin.ActionBackup, nil)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	if err := copyOut(w, p); err != nil {
		p.fail(err)
	} else if !p.over() {
		p.fail(shield.Errorf(shield.Internal, p.op, "the writer returned before the stream had ended"))
	}
	return p.finish()
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
	return t.s.run(ctx, plugin.ActionRestore, r)
}
