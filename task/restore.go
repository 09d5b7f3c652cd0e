package task

import (
	"context"
	"errors"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

// restore gives the archive's stream to the target. The target sees the
// stream's end only if every byte was proven to be what was stored.
func (c *call) restore(ctx context.Context) (shield.TaskResult, error) {
	target, store, found, err := c.preflight(ctx)
	findings := &shield.Findings{Preflight: found}
	if err != nil {
		return shield.TaskResult{Findings: findings}, err
	}
	c.logf("restoring archive %s from store %s (%s) to target %s (%s)", c.task.Archive, c.task.StoreName, c.task.StorePlugin, c.task.TargetName, c.task.TargetPlugin)

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
		return shield.TaskResult{Findings: findings}, c.blame(ctx, shield.StoreFailed, err)
	}
	r, err := c.unseal(ctx, t, blob)
	if err == nil {
		t.stream.Store(counter(r))
		err = c.feed(ctx, t, target.Restore, r)
	}
	c.shut(blob, r)
	p := t.progress()
	if err == nil {
		c.logf("restored %d bytes, digest and length as they were stored", p.RawBytes)
	}
	return shield.TaskResult{Progress: p, Findings: findings}, err
}

// shut closes the stream, the blob first so that nothing waits for it any
// more. A store that hangs even then is left behind.
func (c *call) shut(blob io.Closer, r reader) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	err := c.guarded(over, func() error {
		err := blob.Close()
		if r != nil {
			err = errors.Join(err, r.Close())
		}
		return err
	})
	if err != nil {
		c.logf("closing the archive: %v", err)
	}
}

// A reader gives back an archive: an archive.Reader or an archive.RawReader.
type reader interface {
	io.ReadCloser
	io.WriterTo
	counter
	Summary() (archive.Summary, error)
}

// unseal opens the archive stream and checks that it is the wanted one.
func (c *call) unseal(ctx context.Context, t *transfer, blob io.Reader) (reader, error) {
	opts := &archive.ReaderOptions{Identities: c.runner.opts.Identities, FileKey: c.runner.opts.FileKey, Workers: c.runner.opts.Workers, Want: expect(c.task)}
	raw := c.task.Expected != nil && c.task.Expected.Compression == string(archive.Raw)
	r, err := guard(ctx, c.runner.opts.Grace, func() (reader, error) {
		if raw {
			return archive.NewRawReader(waitingReader{blob, t}, opts.Want)
		}
		return archive.NewReader(waitingReader{blob, t}, opts)
	})
	if err != nil {
		t.fail(shield.StoreFailed, err)
		return nil, t.verdict(ctx)
	}
	return r, nil
}

// expect is what the reader must find.
func expect(t *shield.Task) *archive.Expect {
	e := &archive.Expect{Archive: t.Archive}
	if a := t.Expected; a != nil {
		e.Seal, e.RawSize, e.RawDigest, e.SealedSize, e.SealedDigest = a.Seal, a.RawSize, a.RawDigest, a.StoredSize, a.StoredDigest
	}
	return e
}

// feed runs the target on the stream and judges the end of both.
func (c *call) feed(ctx context.Context, t *transfer, restore func(context.Context, io.Reader) error, r reader) error {
	src := &provenReader{r: r, t: t}
	err := c.guarded(ctx, func() error { return restore(ctx, src) })
	if err != nil {
		t.fail(shield.TargetFailed, err)
		return t.verdict(ctx)
	}
	if err := stopped(ctx); err != nil {
		return err
	}
	if !src.ended {
		n, err := io.Copy(io.Discard, r)
		switch {
		case err != nil:
			t.fail(shield.StoreFailed, err)
		case n > 0:
			t.fail(shield.TargetFailed, shield.Errorf(shield.TargetFailed, "", "it said that all is restored, but had left %d bytes unread", n))
		}
	}
	if _, err := r.Summary(); err != nil {
		t.fail(shield.StoreFailed, err)
	}
	return t.verdict(ctx)
}

// provenReader records how the archive stream ended: an error of it fails
// the task whatever the target makes of it.
type provenReader struct {
	r     reader
	t     *transfer
	ended bool
}

func (p *provenReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.note(err)
	return n, err
}

// WriteTo lets a target that copies do so without a buffer between.
func (p *provenReader) WriteTo(w io.Writer) (int64, error) {
	n, err := p.r.WriteTo(w)
	if err == nil {
		p.ended = true
	} else if shield.CodeOf(err) == shield.Corrupt {
		p.t.fail(shield.StoreFailed, err)
	}
	return n, err
}

func (p *provenReader) note(err error) {
	switch err {
	case nil:
	case io.EOF:
		p.ended = true
	default:
		p.t.fail(shield.StoreFailed, err)
	}
}
