package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
)

var targetChecks = []check{
	{"target: backup, restore, backup", checkCycle},
	{"target: output that fails", checkBackupFails},
	{"target: backup is canceled", checkBackupCanceled},
	{"target: input that fails", checkRestoreFails},
	{"target: restore is canceled", checkRestoreCanceled},
	{"target: probe", checkProbe},
	{"target: inspect a good stream", checkInspect},
	{"target: inspect broken streams", checkInspectBroken},
	{"target: backup after all that", checkCycle},
}

func (s *suite) backup(ctx context.Context, e shield.Endpoint) ([]byte, error) {
	t, err := s.target(ctx, e)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Backup(ctx, &b); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return b.Bytes(), nil
}

func (s *suite) restore(ctx context.Context, r io.Reader) error {
	t, err := s.target(ctx, s.cfg.RestoreEndpoint)
	if err != nil {
		return err
	}
	return t.Restore(ctx, r)
}

// checkCycle: what was restored is what was backed up.
func checkCycle(ctx context.Context, s *suite) error {
	first, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	if err := s.restore(ctx, bytes.NewReader(first)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	second, err := s.backup(ctx, s.cfg.RestoreEndpoint)
	if err != nil {
		return err
	}
	return s.equal(first, second)
}

func (s *suite) equal(a, b []byte) error {
	if s.cfg.Equal != nil {
		return s.cfg.Equal(a, b)
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("a backup of what was restored differs: %d bytes, then %d", len(a), len(b))
	}
	return nil
}

// A stuckWriter takes a number of bytes and then does what end does.
type stuckWriter struct {
	left int
	end  func() error
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		n := w.left
		w.left = 0
		return n, w.end()
	}
	w.left -= len(p)
	return len(p), nil
}

// checkBackupFails: a Backup whose output fails returns an error, soon.
func checkBackupFails(ctx context.Context, s *suite) error {
	return s.stuck(ctx, func(context.CancelFunc) error { return errBroken })
}

// checkBackupCanceled is the same for an output that takes nothing more until
// the Backup is canceled.
func checkBackupCanceled(ctx context.Context, s *suite) error {
	return s.stuck(ctx, func(cancel context.CancelFunc) error {
		cancel()
		return context.Canceled
	})
}

func (s *suite) stuck(ctx context.Context, end func(context.CancelFunc) error) error {
	whole, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	for _, left := range []int{0, len(whole) / 2} {
		if left == len(whole) {
			continue // nothing to be stuck on
		}
		t, err := s.target(ctx, s.cfg.TargetEndpoint)
		if err != nil {
			return err
		}
		limited, cancel := context.WithCancel(ctx)
		w := &stuckWriter{left, func() error { return end(cancel) }}
		err = soon("backup", func() error {
			if err := t.Backup(limited, w); err == nil {
				return fmt.Errorf("backup returned no error although its output failed after %d bytes", left)
			}
			return nil
		})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// checkRestoreFails: a Restore whose input fails returns an error.
func checkRestoreFails(ctx context.Context, s *suite) error {
	return s.brokenRestore(ctx, func(_ context.Context, _ context.CancelFunc) error { return errBroken })
}

// checkRestoreCanceled: a Restore that is canceled returns an error, also if
// its input then ends cleanly.
func checkRestoreCanceled(ctx context.Context, s *suite) error {
	return shield.FirstError(
		s.brokenRestore(ctx, func(ctx context.Context, cancel context.CancelFunc) error {
			cancel()
			return context.Cause(ctx)
		}),
		s.brokenRestore(ctx, func(_ context.Context, cancel context.CancelFunc) error {
			cancel()
			return io.EOF
		}),
	)
}

// brokenRestore restores half a stream that ends as end says. Then it
// restores the whole one, which must work whatever the half has done.
func (s *suite) brokenRestore(ctx context.Context, end func(context.Context, context.CancelFunc) error) error {
	whole, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	half := io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), endReader(func() error { return end(limited, cancel) }))
	err = soon("restore", func() error {
		if err := s.restore(limited, half); err == nil {
			return errors.New("restore returned no error although its input was broken")
		}
		return nil
	})
	if err == nil && s.cfg.ReadsAll {
		err = s.unchanged(ctx, whole)
	}
	if again := s.restore(ctx, bytes.NewReader(whole)); again != nil {
		again = fmt.Errorf("restore after a broken one: %w", again)
		return errors.Join(err, again)
	}
	return err
}

func (s *suite) unchanged(ctx context.Context, want []byte) error {
	got, err := s.backup(ctx, s.cfg.RestoreEndpoint)
	if err != nil {
		return err
	}
	return s.equal(want, got)
}
