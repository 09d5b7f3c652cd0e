package task

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/plugin"
)

// manyHeld is how many archives a store has to have for it to be wrong that it
// lists none of them.
const manyHeld = 3

// maxManifest bounds what is read of a manifest, which archive does, too.
const maxManifest = 1<<20 + 1

// reconcile compares what the store lists with what the catalog knows. It
// changes nothing. A valid archive is missing only if the store neither lists
// its blob, twice, nor can open it; a store that lists none of many archives is
// the wrong one.
func (c *call) reconcile(ctx context.Context) (shield.TaskResult, error) {
	if c.task.Inventory == nil {
		return shield.TaskResult{}, shield.Errorf(shield.Internal, "reconcile", "the task has no inventory")
	}
	store, _, err := c.openStore(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	lister, ok := store.(plugin.Lister)
	if !ok {
		return shield.TaskResult{}, shield.FieldErrorf("store", "%s is of the plugin %s, which cannot list blobs: it cannot be reconciled", c.task.StoreName, c.task.StorePlugin)
	}
	r := &reconciliation{call: c, store: store, lister: lister}
	err = c.again(ctx, "listing the store", func() error { return r.list(ctx) })
	if err == nil {
		err = r.compare(ctx)
	}
	if err != nil {
		return shield.TaskResult{}, c.blame(ctx, shield.StoreFailed, err)
	}
	r.readManifests(ctx)
	return r.result(), stopped(ctx)
}

// A reconciliation is the state of one such task.
type reconciliation struct {
	*call
	store  plugin.Store
	lister plugin.Lister

	known  map[string]*int64 // sizes of blobs that archives have, by key; nil until they are listed
	strays map[string]*shield.Stray
	found  shield.Reconciliation

	missing, back []string // UUIDs
}

// list reads the whole listing, anew if it is called again.
func (r *reconciliation) list(ctx context.Context) error {
	v := r.task.Inventory
	r.known, r.strays = make(map[string]*int64, 2*len(v.Held)), map[string]*shield.Stray{}
	r.found = shield.Reconciliation{Counts: map[shield.DifferenceKind]int64{}}
	for i := range v.Held {
		r.known[v.Held[i].Key], r.known[v.Held[i].ManifestKey] = nil, nil
	}
	return r.lister.List(ctx, "", func(o plugin.Object) error {
		r.transfer.activity.Add(1)
		r.found.Blobs++
		r.found.Bytes += o.Size
		if _, ok := r.known[o.Key]; ok {
			r.known[o.Key] = &o.Size
		} else if !v.Open[o.Key] {
			r.stray(o)
		}
		return nil
	})
}

func (r *reconciliation) stray(o plugin.Object) {
	key, manifest := strings.CutSuffix(o.Key, shield.ManifestSuffix)
	s := r.strays[key]
	if s == nil {
		s = &shield.Stray{Key: key}
		r.strays[key] = s
	}
	s.Blob, s.Manifest = s.Blob || !manifest, s.Manifest || manifest
	s.Size += o.Size
	if o.ModifiedAt.After(s.ModifiedAt) {
		s.ModifiedAt = o.ModifiedAt
	}
}

// compare looks for each archive of the catalog.
func (r *reconciliation) compare(ctx context.Context) error {
	var absent []*shield.Holding
	listed := 0
	for i := range r.task.Inventory.Held {
		h := &r.task.Inventory.Held[i]
		size := r.known[h.Key]
		switch {
		case h.Status == shield.ArchiveValid && size == nil:
			absent = append(absent, h)
		case h.Status == shield.ArchiveValid:
			listed++
			r.present(h, *size)
		case h.Missing && h.Status == shield.ArchiveInvalid && size != nil && *size == h.Size:
			r.back = append(r.back, h.Archive)
			r.differ(shield.DiffFound, h, *size, "is there again: valid")
		}
	}
	r.found.Archives = int64(listed + len(absent))
	if listed == 0 && len(absent) >= manyHeld {
		return shield.Errorf(shield.StoreFailed, "", "it lists %d blobs, but none of the %d archives that the catalog has there: is this the right folder, bucket or mount? Nothing was changed", r.found.Blobs, len(absent))
	}
	for _, h := range absent {
		if err := r.lookAgain(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// present compares what is listed of a valid archive.
func (r *reconciliation) present(h *shield.Holding, size int64) {
	if size != h.Size {
		r.differ(shield.DiffChanged, h, size, fmt.Sprintf("has %d bytes, where %d were stored", size, h.Size))
	}
	if h.ManifestKey != "" && r.known[h.ManifestKey] == nil {
		r.differ(shield.DiffNoManifest, h, size, "has no manifest beside it any more; it can be restored as long as the catalog has it")
	}
}

func (r *reconciliation) differ(k shield.DifferenceKind, h *shield.Holding, size int64, text string) {
	r.found.Add(shield.Difference{Kind: k, Key: h.Key, Archive: h.Archive, Size: size, Text: text})
	r.logf("%s: %s of archive %s %s", k, h.Key, h.Archive, text)
}

// lookAgain looks for the blob of an archive that was not listed: a store may
// list late.
func (r *reconciliation) lookAgain(ctx context.Context, h *shield.Holding) error {
	listed, err := r.lists(ctx, r.store, h.Key)
	if err != nil {
		return err
	}
	if !listed {
		err = r.again(ctx, "opening "+h.Key, func() error { return r.opens(ctx, h.Key) })
	}
	switch {
	case err == nil:
		r.logf("%s was not listed at first, but is there", h.Key)
		return nil
	case !errors.Is(err, shield.NotFound):
		return fmt.Errorf("looking for %s, which it does not list: %w", h.Key, err)
	}
	r.missing = append(r.missing, h.Archive)
	r.differ(shield.DiffMissing, h, 0, "is not there: invalid")
	return nil
}

// opens reads the first byte of a blob, since a store may say only then that
// there is none.
func (r *reconciliation) opens(ctx context.Context, key string) error {
	blob, err := r.store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer blob.Close()
	if _, err := io.ReadFull(blob, make([]byte, 1)); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// readManifests looks who made the strays that have a manifest, as many as are
// reported.
func (r *reconciliation) readManifests(ctx context.Context) {
	left := shield.MaxDifferences
	for _, key := range slices.Sorted(maps.Keys(r.strays)) {
		if s := r.strays[key]; s.Blob && s.Manifest && left > 0 && ctx.Err() == nil {
			s.Signer = r.signer(ctx, key)
			left--
		}
	}
}

// signer says who made a manifest. One that cannot be read is not ours.
func (r *reconciliation) signer(ctx context.Context, key string) shield.Signer {
	var data []byte
	err := r.again(ctx, "reading "+key+shield.ManifestSuffix, func() error {
		m, err := r.store.Get(ctx, key+shield.ManifestSuffix)
		if err != nil {
			return err
		}
		defer m.Close()
		data, err = io.ReadAll(io.LimitReader(m, maxManifest))
		return err
	})
	var m *archive.Manifest
	if err == nil && len(r.runner.opts.SigningKey) == 0 {
		err = shield.Errorf(shield.Invalid, "", "this runner has no key of its own")
	}
	if err == nil {
		m, err = archive.OpenManifest(data, r.runner.opts.Identities, r.runner.opts.SigningKey.Public().(ed25519.PublicKey))
	}
	if err == nil && m.Key != key {
		err = shield.Errorf(shield.Corrupt, "", "it is of the blob %q", m.Key)
	}
	if err != nil {
		r.logf("the manifest of %s, which the catalog does not know, is not this daemon's: %v", key, err)
		return shield.SignerOther
	}
	return shield.SignerOwn
}

func (r *reconciliation) result() shield.TaskResult {
	strays := make([]shield.Stray, 0, len(r.strays))
	for _, s := range r.strays {
		strays = append(strays, *s)
	}
	slices.SortFunc(strays, func(a, b shield.Stray) int { return cmp.Compare(a.Key, b.Key) })
	return shield.TaskResult{
		Findings: &shield.Findings{Reconciliation: &r.found}, Missing: r.missing, Found: r.back, Strays: strays,
	}
}
