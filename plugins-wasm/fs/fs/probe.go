package fs

import (
	"context"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// Probe counts what a backup would hold, without reading the files.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	b, err := t.walk(ctx, "fs.probe", nil, func(string) {})
	if err != nil {
		return plugin.Probe{}, err
	}
	return b.counts.probe(), nil
}

// Inspect reads a tar stream and counts what it holds.
func (t *target) Inspect(ctx context.Context, src io.Reader) (plugin.Probe, error) {
	in := &stream.Reader{Ctx: ctx, R: src}
	c, err := inspect(newReader(in))
	if in.Err != nil {
		return plugin.Probe{}, in.Err
	}
	if err != nil {
		return plugin.Probe{}, shield.Errorf(shield.Corrupt, "fs.inspect", "%w", err)
	}
	return c.probe(), nil
}

func inspect(r *reader) (c counts, err error) {
	for {
		h, err := r.next()
		if err == io.EOF {
			return c, r.drain()
		}
		if err != nil {
			return c, err
		}
		switch h.kind {
		case kindFile:
			c.files++
			c.bytes += total(dataOf(h))
		case kindFolder:
			c.folders++
		case kindLink:
			c.links++
		default:
			c.others++
		}
	}
}

func (c *counts) probe() plugin.Probe {
	return plugin.Probe{Counts: map[string]int64{
		"files": int64(c.files), "folders": int64(c.folders), "links": int64(c.links), "others": int64(c.others), "bytes": c.bytes,
	}}
}
