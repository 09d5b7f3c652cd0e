package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// checkProbe: a probe counts something and changes nothing.
func checkProbe(ctx context.Context, s *suite) error {
	t, err := s.target(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	p, ok := t.(plugin.Prober)
	if !ok {
		return nil
	}
	before, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	answer, err := p.Probe(ctx)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := answer.Check(); err != nil {
		return err
	}
	if answer.Empty() {
		return fmt.Errorf("the target holds something to back up, and the probe says %v", answer.Counts)
	}
	after, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err == nil {
		err = s.equal(before, after)
	}
	if err != nil {
		return fmt.Errorf("after a probe: %w", err)
	}
	return s.probeCanceled(ctx)
}

// probeCanceled: a probe that is canceled returns an error, soon.
func (s *suite) probeCanceled(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return soon("probe after its cancellation", func() error {
		t, err := s.target(ctx, s.cfg.TargetEndpoint)
		if err != nil {
			return nil // it was too late even to open it
		}
		if p, ok := t.(plugin.Prober); ok {
			if _, err := p.Probe(ctx); err == nil {
				return errors.New("a probe that was canceled returned no error")
			}
		}
		return nil
	})
}

// inspect has a stream inspected. It reports false if the target cannot.
func (s *suite) inspect(ctx context.Context, r io.Reader) (bool, error) {
	t, err := s.target(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return false, err
	}
	i, ok := t.(plugin.Inspector)
	if !ok {
		return false, nil
	}
	answer, err := i.Inspect(ctx, r)
	if err == nil {
		err = answer.Check()
	}
	return true, err
}

// checkInspect: what Backup wrote is whole.
func checkInspect(ctx context.Context, s *suite) error {
	whole, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err != nil {
		return err
	}
	if _, err := s.inspect(ctx, bytes.NewReader(whole)); err != nil {
		return fmt.Errorf("inspect of a good stream: %w", err)
	}
	return nil
}

// checkInspectBroken: a stream that was cut, or whose first byte was changed,
// or whose reader fails, is not whole. A change further on is noticed where
// the stream has checksums, and never more than refused.
func checkInspectBroken(ctx context.Context, s *suite) error {
	whole, err := s.backup(ctx, s.cfg.TargetEndpoint)
	if err != nil || len(whole) == 0 {
		return err
	}
	for _, n := range []int{0, 1, len(whole) / 2, len(whole) * 9 / 10} {
		if n == len(whole) {
			continue
		}
		can, err := s.inspect(ctx, bytes.NewReader(whole[:n]))
		if !can && err == nil {
			return nil
		}
		if err := wantCode(fmt.Sprintf("inspect of %d of %d bytes", n, len(whole)), err, shield.Corrupt); err != nil {
			return err
		}
	}
	for _, n := range []int{0, len(whole) / 3, len(whole) - 1} {
		flipped := &flipReader{bytes.NewReader(whole), int64(n)}
		_, err := s.inspect(ctx, flipped)
		if err == nil && n > 0 && !s.cfg.Checksums {
			continue
		}
		if err := wantCode(fmt.Sprintf("inspect with byte %d changed", n), err, shield.Corrupt); err != nil {
			return err
		}
	}
	half := io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), endReader(func() error { return errBroken }))
	if _, err := s.inspect(ctx, half); err == nil {
		return errors.New("inspect returned no error although its input was broken")
	}
	return nil
}
