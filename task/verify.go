package task

import (
	"context"
	"crypto/ed25519"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/plugin"
)

// verify reads an archive as a restore does, without a target: every byte is
// opened, counted and hashed. Then it compares the manifest with what the
// catalog knows.
func (c *call) verify(ctx context.Context) (shield.TaskResult, error) {
	store, _, err := c.openStore(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	c.logf("verifying archive %s in store %s (%s)", c.task.Archive, c.task.StoreName, c.task.StorePlugin)
	t := c.transfer
	if c.task.Expected != nil {
		t.total.Store(c.task.Expected.RawSize)
	}
	var blob io.ReadCloser
	err = c.again(ctx, "opening "+c.task.Key, func() (err error) {
		blob, err = store.Get(ctx, c.task.Key)
		return err
	})
	if err != nil {
		return shield.TaskResult{}, c.blame(ctx, shield.StoreFailed, err)
	}
	r, err := c.unseal(ctx, t, blob)
	if err == nil {
		t.stream.Store(counter(r))
		err = c.feed(ctx, t, discard, r)
	}
	c.shut(blob, r)
	p := t.progress()
	if err == nil {
		c.logf("read %d bytes, digest and length as they were stored", p.RawBytes)
		err = c.verifyManifest(ctx, store)
	}
	return shield.TaskResult{Progress: p}, err
}

func discard(_ context.Context, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// verifyManifest compares the manifest with what the catalog knows. The archive
// can be restored without it.
func (c *call) verifyManifest(ctx context.Context, store plugin.Store) error {
	if c.task.ManifestKey == "" {
		return nil
	}
	var data []byte
	err := c.again(ctx, "reading "+c.task.ManifestKey, func() error {
		m, err := store.Get(ctx, c.task.ManifestKey)
		if err != nil {
			return err
		}
		defer m.Close()
		data, err = io.ReadAll(io.LimitReader(m, maxManifest))
		return err
	})
	if err == nil {
		err = c.compareManifest(data)
	}
	if err != nil {
		return &shield.Error{Code: shield.StoreFailed, Err: err, Message: "the blob is good, its manifest " + c.task.ManifestKey + " is not: " + err.Error()}
	}
	c.logf("the manifest agrees with the catalog")
	return nil
}

func (c *call) compareManifest(data []byte) error {
	opts := &c.runner.opts
	var m *archive.Manifest
	var err error
	if len(opts.SigningKey) > 0 {
		m, err = archive.OpenManifest(data, opts.Identities, opts.SigningKey.Public().(ed25519.PublicKey))
	} else {
		m, _, err = archive.InspectManifest(data, opts.Identities)
	}
	if err != nil {
		return err
	}
	if have, want := m.Expect(), expect(c.task); *have != *want || m.Key != c.task.Key {
		return shield.Errorf(shield.Corrupt, "", "it is of archive %s, blob %s, with %d bytes, %d stored: another one than the catalog has", m.Archive, m.Key, m.RawSize, m.SealedSize)
	}
	return nil
}
