package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type faultyTarget struct {
	f *Faulty
	plugin.Target
}

var _ plugin.Target = (*faultyTarget)(nil)

func (t *faultyTarget) Backup(ctx context.Context, w io.Writer) error {
	if n, ok := t.f.has(TargetDropsFrom, ""); ok {
		return t.Target.Backup(ctx, &headWriter{w: w, left: n})
	}
	for fault, then := range atLimit {
		if n, ok := t.f.has(fault, ""); ok {
			return t.backupHead(ctx, w, n, then)
		}
	}
	err := t.Target.Backup(ctx, w)
	if _, ok := t.f.has(TargetFailsAtEnd, ""); ok && err == nil {
		err = shield.Errorf(shield.TargetFailed, "", "fault: the dump has ended badly")
	}
	return err
}

// atLimit says what the faults do that strike after a number of bytes.
var atLimit = map[Fault]func(ctx context.Context, n int64) error{
	TargetFailsAfter: func(_ context.Context, n int64) error {
		return shield.Errorf(shield.TargetFailed, "", "fault: failed after %d bytes", n)
	},
	TargetHangsAfter: hang,
	TargetPanics:     doPanic,
}

func hang(ctx context.Context, _ int64) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func doPanic(_ context.Context, n int64) error { panic(fmt.Sprintf("fault: panic after %d bytes", n)) }

// backupHead writes the first n bytes and then does what the fault does,
// also if there are fewer.
func (t *faultyTarget) backupHead(ctx context.Context, w io.Writer, n int64, then func(context.Context, int64) error) error {
	h := &headWriter{w: w, left: n, full: errHead}
	if err := t.Target.Backup(ctx, h); err != nil && !errors.Is(err, errHead) {
		return err
	}
	return then(ctx, n)
}

var errHead = errors.New("the limit of a fault is reached")

// A headWriter passes on the first bytes. What is beyond them fails with
// full, or is dropped if that is nil.
type headWriter struct {
	w    io.Writer
	left int64
	full error
}

func (h *headWriter) Write(p []byte) (int, error) {
	head := p[:min(int64(len(p)), h.left)]
	n, err := h.w.Write(head)
	h.left -= int64(n)
	if err != nil {
		return n, err
	}
	if len(head) < len(p) && h.full != nil {
		return n, h.full
	}
	return len(p), nil
}

func (t *faultyTarget) Restore(ctx context.Context, r io.Reader) error {
	if n, ok := t.f.has(RestoreStopsAfter, ""); ok {
		return t.Target.Restore(ctx, io.LimitReader(r, n))
	}
	if _, ok := t.f.has(RestoreIgnoresErrors, ""); ok {
		return t.Target.Restore(context.WithoutCancel(ctx), deafReader{r})
	}
	if n, ok := t.f.has(RestoreFailsAfter, ""); ok {
		return readHead(ctx, r, n, shield.Errorf(shield.TargetFailed, "", "fault: failed after %d bytes", n))
	}
	if n, ok := t.f.has(RestoreHangsAfter, ""); ok {
		return shield.FirstError(readHead(ctx, r, n, nil), hang(ctx, n))
	}
	if n, ok := t.f.has(RestorePanics, ""); ok {
		return shield.FirstError(readHead(ctx, r, n, nil), doPanic(ctx, n))
	}
	return t.Target.Restore(ctx, r)
}

// readHead reads n bytes, or all if there are fewer, and returns then, or the
// error of r.
func readHead(ctx context.Context, r io.Reader, n int64, then error) error {
	if _, err := copyContext(ctx, io.Discard, io.LimitReader(r, n)); err != nil {
		return err
	}
	return then
}

// A deafReader takes every error for the end of the stream.
type deafReader struct{ r io.Reader }

func (d deafReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}
