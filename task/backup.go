package task

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/plugin"
)

// backup moves the target's stream into the store and proves that it is
// there. The order is: both plugins open; the target says what it holds, if it
// can; stream; the target ended well; the
// stream's end is given to the store; the store acknowledged length and
// digest; the blob is found there; the manifest is stored and read back.
// Failing anywhere purges what was stored.
func (c *call) backup(ctx context.Context) (shield.TaskResult, error) {
	target, info, err := c.openTarget(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	store, storeInfo, err := c.openStore(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	opts, err := c.sealing(&storeInfo)
	if err != nil {
		return shield.TaskResult{}, err
	}
	b := &backup{call: c, target: target, store: store, info: info, opts: opts}
	if storeInfo.Keeping {
		b.keeper, _ = store.(plugin.Keeper)
	}
	if !info.SlowProbe {
		if b.probed, _, err = c.probe(ctx, target); err != nil {
			return shield.TaskResult{}, err
		}
	}
	b.takenAt = b.runner.now().UTC().Truncate(time.Millisecond)
	a, err := b.run(ctx)
	result := shield.TaskResult{Archive: a, Progress: c.transfer.progress()}
	if err != nil {
		result.Archive = nil
		result.Leftovers, err = b.cleanUp(ctx, err)
	}
	return result, err
}

// sealing returns how the archive is to be written. A store gets the raw
// streams that it wants only from a job that leaves it the choice and that
// does not encrypt: what is to be encrypted always is.
func (c *call) sealing(store *plugin.Info) (*archive.WriterOptions, error) {
	level, err := archive.ParseLevel(c.task.Compression)
	if err != nil {
		return nil, err
	}
	if store.Streams == plugin.StreamsRaw && level != archive.Raw {
		switch {
		case c.task.Compression == "" && c.task.Unencrypted:
			level = archive.Raw
		case c.task.Unencrypted:
			c.logf("store %s keeps once what archives have in common, if their streams are raw; this job's are not, since it has the compression %s", c.task.StoreName, level)
		default:
			c.logf("store %s keeps once what archives have in common, if their streams are raw; this job's are not, since they are encrypted", c.task.StoreName)
		}
	}
	if level == archive.Raw && !c.task.Unencrypted {
		return nil, shield.FieldErrorf("compression", "is raw, which cannot be encrypted")
	}
	opts := &archive.WriterOptions{Level: level, Workers: c.runner.opts.Workers}
	if len(c.runner.opts.SigningKey) == 0 && c.runner.opts.Seal == nil {
		return nil, shield.Errorf(shield.Internal, "backup", "the runner has no key to sign manifests with")
	}
	if c.task.Unencrypted {
		return opts, nil
	}
	if len(c.runner.opts.Recipients) == 0 {
		return nil, shield.Errorf(shield.Internal, "backup", "the runner has no recipient to seal archives to")
	}
	opts.Recipients = c.runner.opts.Recipients
	return opts, nil
}

// A backup is the state of one backup task.
type backup struct {
	*call
	target  plugin.Target
	store   plugin.Store
	keeper  plugin.Keeper // nil if the store keeps nothing
	info    plugin.Info
	probed  plugin.Probe // what the target said it holds, if it could
	opts    *archive.WriterOptions
	takenAt time.Time

	stored []string // keys that may exist in the store
}

func (b *backup) run(ctx context.Context) (*shield.Archive, error) {
	b.logf("backing up target %s (%s %s) into store %s (%s)", b.task.TargetName, b.task.TargetPlugin, b.info.Version, b.task.StoreName, b.task.StorePlugin)
	began := time.Now()
	b.stored = []string{b.task.Key}
	sum, ack, err := b.stream(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.prove(ctx, sum, ack); err != nil {
		return nil, err
	}
	a := b.archive(sum, ack)
	if err := b.commit(ctx, a); err != nil {
		return nil, err
	}
	b.logf("archive %s: %d bytes from the target, %d bytes in the store under %s, in %.3f s",
		a.UUID, a.RawSize, a.StoredSize, a.Key, time.Since(began).Seconds())
	return a, nil
}

// stream runs target, archive writer and store until all three have ended.
func (b *backup) stream(ctx context.Context) (archive.Summary, plugin.Stored, error) {
	t := b.transfer
	pr, pw := io.Pipe()
	w, err := b.writer(waitingWriter{pw, t})
	if err != nil {
		return archive.Summary{}, plugin.Stored{}, err
	}
	t.stream.Store(counter(w))

	var ack plugin.Stored
	sent := &sealedReader{movingReader: movingReader{pr, t}}
	put := make(chan struct{})
	go func() {
		defer close(put)
		var err error
		ack, err = guard(ctx, b.runner.opts.Grace, func() (plugin.Stored, error) {
			return b.put(ctx, b.task.Key, sent)
		})
		if err == nil {
			err = endReached(pr)
		}
		if err != nil {
			t.fail(shield.StoreFailed, err)
		}
		// From here on the target's writes fail, with the store's reason.
		pr.CloseWithError(err)
	}()
	sum, sealed := b.seal(ctx, t, w)
	sent.digest = sum.SealedDigest
	// The store sees a clean end of stream only if the target ended well.
	pw.CloseWithError(sealed)
	t.waiting.Add(1)
	<-put
	t.waiting.Add(-1)
	return sum, ack, t.verdict(ctx)
}

// A writer makes an archive: an archive.Writer or an archive.RawWriter.
type writer interface {
	io.Writer
	counter
	Close() (archive.Summary, error)
	Abort(err error)
}

func (b *backup) writer(dst io.Writer) (writer, error) {
	if b.opts.Level == archive.Raw {
		return archive.NewRawWriter(dst), nil
	}
	return archive.NewWriter(dst, b.header(), b.opts)
}

// put stores a blob, and has it kept until the archive expires by a store that
// can.
func (b *backup) put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	if b.keeper == nil {
		return b.store.Put(ctx, key, r)
	}
	return b.keeper.PutUntil(ctx, key, r, b.expires())
}

func (b *backup) expires() time.Time {
	return b.takenAt.Add(time.Duration(b.task.Retention) * time.Second)
}

// seal runs the target and ends the archive stream, cleanly if the target
// ended well.
func (b *backup) seal(ctx context.Context, t *transfer, w writer) (archive.Summary, error) {
	err := b.guarded(ctx, func() error { return b.target.Backup(ctx, w) })
	if err == nil {
		err = stopped(ctx)
	}
	if raw, _ := w.Progress(); err == nil && raw == 0 && !b.probed.Empty() {
		err = shield.Errorf(shield.TargetFailed, "", "its dump is empty, though before it the target %s", describeProbe(&b.probed))
	}
	if err != nil {
		t.fail(shield.TargetFailed, err)
		w.Abort(err)
		return archive.Summary{}, err
	}
	sum, err := w.Close()
	if err != nil {
		t.fail(shield.Internal, err)
	}
	return sum, err
}

// endReached reports an error if a store said that it was done before it
// had read the stream's end.
func endReached(r io.Reader) error {
	var one [1]byte
	n, err := r.Read(one[:])
	if n == 0 && err == io.EOF {
		return nil
	}
	return shield.Errorf(shield.StoreFailed, "", "it said that the archive is stored before it had read all of it")
}

func (b *backup) header() archive.Header {
	t := b.task
	return archive.Header{
		Archive: t.Archive, TargetUUID: t.Target, TargetName: t.TargetName,
		Plugin: t.TargetPlugin, PluginVersion: b.info.Version, PluginDigest: b.info.Digest,
		TakenAt:  b.takenAt,
		Versions: b.probed.Versions, Counts: b.probed.Counts,
	}
}

// prove checks what the store acknowledged against what was sent, then looks
// whether the blob is there.
func (b *backup) prove(ctx context.Context, sum archive.Summary, ack plugin.Stored) error {
	if ack.Key == "" {
		ack.Key = b.task.Key
	}
	if ack.Key != b.task.Key {
		b.stored = append(b.stored, ack.Key)
	}
	err := agree(sum, ack)
	if err == nil {
		err = b.again(ctx, "looking for "+ack.Key, func() error { return b.confirm(ctx, sum, ack) })
	}
	if err != nil {
		return b.blame(ctx, shield.StoreFailed, err)
	}
	return stopped(ctx)
}

func agree(sum archive.Summary, ack plugin.Stored) error {
	if ack.Size >= 0 && ack.Size != sum.SealedSize {
		return shield.Errorf(shield.StoreFailed, "", "it acknowledged %d bytes of the %d that it was given", ack.Size, sum.SealedSize)
	}
	if strings.HasPrefix(ack.Digest, "blake3:") && ack.Digest != sum.SealedDigest {
		return shield.Errorf(shield.StoreFailed, "", "it acknowledged digest %s, but was given %s", ack.Digest, sum.SealedDigest)
	}
	return nil
}

// confirm looks at the blob in the store: by listing it where the store can,
// by reading it whole where the store told no length, else by reading its
// beginning.
func (b *backup) confirm(ctx context.Context, sum archive.Summary, ack plugin.Stored) error {
	if l, ok := b.store.(plugin.Lister); ok {
		return b.listed(ctx, l, ack.Key, sum.SealedSize)
	}
	r, err := b.store.Get(ctx, ack.Key)
	if err != nil {
		return fmt.Errorf("the archive cannot be read back: %w", err)
	}
	defer r.Close()
	if ack.Size < 0 {
		return readBack(waitingReader{r, b.transfer}, sum)
	}
	head := make([]byte, min(sum.SealedSize, 4096))
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("the archive cannot be read back: %w", err)
	}
	return nil
}

func (b *backup) listed(ctx context.Context, l plugin.Lister, key string, size int64) error {
	found := false
	err := l.List(ctx, key, func(o plugin.Object) error {
		b.transfer.activity.Add(1)
		if o.Key != key {
			return nil
		}
		found = true
		if o.Size != size {
			return shield.Errorf(shield.StoreFailed, "", "it lists %s with %d bytes, but was given %d", key, o.Size, size)
		}
		return nil
	})
	if err == nil && !found {
		err = shield.Errorf(shield.StoreFailed, "", "it acknowledged %s, but does not list it", key)
	}
	return err
}

func readBack(r io.Reader, sum archive.Summary) error {
	h := blake3.New()
	size, err := io.Copy(h, r)
	if err != nil {
		return fmt.Errorf("the archive cannot be read back: %w", err)
	}
	digest := fmt.Sprintf("blake3:%x", h.Sum(nil))
	if size != sum.SealedSize || digest != sum.SealedDigest {
		return shield.Errorf(shield.StoreFailed, "", "it gives back %d bytes with digest %s, but was given %d with %s",
			size, digest, sum.SealedSize, sum.SealedDigest)
	}
	return nil
}

func (b *backup) archive(sum archive.Summary, ack plugin.Stored) *shield.Archive {
	t := b.task
	key := ack.Key
	if key == "" {
		key = t.Key
	}
	return &shield.Archive{
		UUID: t.Archive, Target: t.Target, Store: t.Store, Job: t.Job,
		TargetName: t.TargetName, StoreName: t.StoreName,
		Key: key, TakenAt: b.takenAt, ExpiresAt: b.expires(),
		Status: shield.ArchiveValid, Plugin: t.TargetPlugin, PluginVersion: b.info.Version, PluginDigest: b.info.Digest,
		Versions: b.probed.Versions, Counts: b.probed.Counts,
		Compression: string(b.opts.Level), Encrypted: len(b.opts.Recipients) > 0,
		RawSize: sum.RawSize, RawDigest: sum.RawDigest, StoredSize: sum.SealedSize, StoredDigest: sum.SealedDigest, Seal: sum.Seal,
		Frames: sum.Frames, Recipients: b.recipients(),
	}
}

// recipients are the public keys that the archive is sealed to.
func (b *backup) recipients() []string {
	if len(b.opts.Recipients) == 0 {
		return nil
	}
	return b.runner.opts.RecipientNames
}

// manifest makes the commit record, signed and sealed.
func (b *backup) manifest(ctx context.Context, a *shield.Archive) ([]byte, error) {
	m := &archive.Manifest{
		Archive: a.UUID, Key: a.Key, TargetUUID: a.Target, TargetName: a.TargetName,
		TargetPlugin: a.Plugin, PluginVersion: a.PluginVersion, PluginDigest: a.PluginDigest,
		Versions: a.Versions, Counts: a.Counts,
		StoreUUID: a.Store, StoreName: a.StoreName, JobUUID: b.task.Job, JobName: b.task.JobName,
		TakenAt: a.TakenAt, FinishedAt: b.runner.now().UTC(), ExpiresAt: a.ExpiresAt,
		RawSize: a.RawSize, RawDigest: a.RawDigest, SealedSize: a.StoredSize, SealedDigest: a.StoredDigest, Seal: a.Seal,
		Frames: a.Frames, Level: b.opts.Level, Recipients: a.Recipients,
	}
	if b.runner.opts.Seal != nil {
		return b.runner.opts.Seal(ctx, m)
	}
	return archive.SealManifest(m, b.runner.opts.SigningKey, b.opts.Recipients)
}

// commit stores the manifest beside the blob and reads it back.
func (b *backup) commit(ctx context.Context, a *shield.Archive) error {
	data, err := b.manifest(ctx, a)
	if err != nil {
		return b.blame(ctx, shield.Internal, err)
	}
	wanted := a.Key + shield.ManifestSuffix
	b.stored = append(b.stored, wanted)
	err = b.onStore(ctx, func() error {
		ack, err := b.put(ctx, wanted, bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("storing the manifest: %w", err)
		}
		a.ManifestKey = wanted
		if ack.Key != "" && ack.Key != wanted {
			a.ManifestKey = ack.Key
			b.stored = append(b.stored, ack.Key)
		}
		return nil
	})
	if err == nil {
		err = b.again(ctx, "reading "+a.ManifestKey, func() error { return sameBlob(ctx, b.store, a.ManifestKey, data) })
	}
	if err != nil {
		return b.blame(ctx, shield.StoreFailed, err)
	}
	return stopped(ctx)
}

// sameBlob reads a small blob back and compares it.
func sameBlob(ctx context.Context, s plugin.Store, key string, want []byte) error {
	r, err := s.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", key, err)
	}
	defer r.Close()
	got, err := io.ReadAll(io.LimitReader(r, int64(len(want))+1))
	if err != nil {
		return fmt.Errorf("reading %s back: %w", key, err)
	}
	if !bytes.Equal(got, want) {
		return shield.Errorf(shield.StoreFailed, "", "%s reads back with other bytes than were stored", key)
	}
	return nil
}

// cleanUp purges what a failed backup may have left. It runs even when ctx
// is done. It returns the keys that it could not remove.
func (b *backup) cleanUp(ctx context.Context, failure error) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.runner.opts.Grace)
	defer cancel()
	var left []string
	for _, key := range b.stored {
		err := b.remove(ctx, b.store, key)
		if err != nil {
			b.logf("%s could not be purged: %v", key, err)
			left = append(left, key)
		}
	}
	if len(left) == 0 {
		b.logf("nothing of this backup is left in the store")
		return nil, failure
	}
	return left, &shield.Error{
		Code: shield.CodeOf(failure), Err: failure,
		Message: fmt.Sprintf("%v; what it left in the store could not be purged yet: %q", failure, left),
	}
}
