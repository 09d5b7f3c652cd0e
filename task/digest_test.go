package task_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// asking is a store that asks the stream of an archive for its digest, and
// compares that with what came.
type asking struct {
	plugin.Opener
	t     *testing.T
	asked *int
}

func (a asking) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	s, err := a.Opener.OpenStore(ctx, e, log)
	return askingStore{s, a}, err
}

type askingStore struct {
	plugin.Store
	a asking
}

func (s askingStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	d, ok := r.(plugin.Digester)
	if !ok { // a manifest
		return s.Store.Put(ctx, key, r)
	}
	h := blake3.New()
	stored, err := s.Store.Put(ctx, key, io.TeeReader(r, h))
	if want := fmt.Sprintf("blake3:%x", h.Sum(nil)); err == nil && d.Digest() != want {
		s.a.t.Errorf("the stream says that its digest is %q, and it is %s", d.Digest(), want)
	}
	*s.a.asked++
	return stored, err
}

// TestStreamKnowsItsDigest: what a store is given of an archive knows its digest
// at its end, whatever the archive's format is.
func TestStreamKnowsItsDigest(t *testing.T) {
	for _, compression := range []string{"", "none", "raw"} {
		t.Run(compression, func(t *testing.T) {
			b := newBench(t)
			asked, plugins := 0, plugin.NewRegistry()
			if err := plugins.Register("memory", asking{b.faulty, t, &asked}); err != nil {
				t.Fatal(err)
			}
			b.runner = b.runnerOver(plugins)
			b.backup(t, func(t *shield.Task) { t.Compression, t.Unencrypted = compression, compression == "raw" })
			if asked != 1 {
				t.Errorf("%d streams were asked, want that of the archive", asked)
			}
		})
	}
}
