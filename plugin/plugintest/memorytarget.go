package plugintest

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type memoryTarget struct{ place }

var _ interface {
	plugin.Target
	plugin.Prober
	plugin.Inspector
	plugin.Tester
} = (*memoryTarget)(nil)

func (t *memoryTarget) content() (content, error) {
	c, ok := t.m.target(t.name)
	if !ok {
		return c, shield.Errorf(shield.TargetFailed, "memory", "there is no target called %q", t.name)
	}
	return c, nil
}

func (t *memoryTarget) Backup(ctx context.Context, w io.Writer) error {
	c, err := t.content()
	if err != nil {
		return err
	}
	h := blake3.New()
	if _, err := copyContext(ctx, w, io.TeeReader(c.open(), h)); err != nil {
		return err
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.wrote[sumOf(h)] = true
	return nil
}

func (t *memoryTarget) Restore(ctx context.Context, r io.Reader) error {
	var b bytes.Buffer
	if _, err := copyContext(ctx, &b, r); err != nil {
		return err
	}
	t.m.SetTarget(t.name, b.Bytes())
	return nil
}

// Probe tells the number of bytes.
func (t *memoryTarget) Probe(ctx context.Context) (plugin.Probe, error) {
	if ctx.Err() != nil {
		return plugin.Probe{}, context.Cause(ctx)
	}
	c, err := t.content()
	return plugin.Probe{Counts: map[string]int64{"bytes": c.size}, Versions: map[string]string{"memory": "1.0.0"}}, err
}

// Inspect knows the digests of all streams that Backup has written: theirs is
// the only structure that a stream of any bytes has.
func (t *memoryTarget) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	h := blake3.New()
	n, err := copyContext(ctx, h, r)
	if err != nil {
		return plugin.Probe{}, err
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if !t.m.wrote[sumOf(h)] {
		return plugin.Probe{}, shield.Errorf(shield.Corrupt, "memory", "no backup of mine has written these %d bytes", n)
	}
	return plugin.Probe{Counts: map[string]int64{"bytes": n}}, nil
}

func sumOf(h *blake3.Hasher) string { return "blake3:" + hex.EncodeToString(h.Sum(nil)) }
