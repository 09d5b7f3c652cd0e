package task

import (
	"context"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

var _ shield.Opener = (*Runner)(nil)

// Open returns the content of the archive that t, a verification, names: what
// the target gave, or, if sealed, the blob as it lies in the store. See
// shield.Opener.
func (r *Runner) Open(ctx context.Context, t *shield.Task, sealed bool) (io.ReadCloser, error) {
	ctx, stop := context.WithCancelCause(ctx)
	c := &call{runner: r, task: t, diag: newDiagnostics(unheard{})}
	c.transfer = &transfer{call: c, cancel: stop}
	go c.transfer.watch(ctx)
	o := &content{call: c, ctx: ctx, stop: stop}
	if err := o.open(sealed); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// unheard is the monitor of what nobody follows.
type unheard struct{}

func (unheard) Log(shield.Source, string) {}
func (unheard) Progress(shield.Progress)  {}

// content is an open archive.
type content struct {
	call   *call
	ctx    context.Context
	stop   context.CancelCauseFunc
	blob   io.ReadCloser
	opened reader    // of what is not sealed
	from   io.Reader // what is read
}

func (o *content) open(sealed bool) error {
	c := o.call
	store, _, err := c.openStore(o.ctx)
	if err != nil {
		return err
	}
	err = c.again(o.ctx, "opening "+c.task.Key, func() (err error) {
		o.blob, err = store.Get(o.ctx, c.task.Key)
		return err
	})
	if err != nil {
		return c.blame(o.ctx, shield.StoreFailed, err)
	}
	if sealed {
		o.from = &provenBlob{r: o.blob, t: c.transfer, want: c.task.Expected, digest: blake3.New()}
		return nil
	}
	o.opened, err = c.unseal(o.ctx, c.transfer, o.blob)
	if err == nil {
		c.transfer.stream.Store(counter(o.opened))
		o.from = &provenReader{r: o.opened, t: c.transfer}
	}
	return err
}

// Read returns io.EOF only if every byte was proven.
func (o *content) Read(p []byte) (int, error) {
	n, err := o.from.Read(p)
	if err == nil || err == io.EOF && o.opened == nil {
		return n, err
	}
	if err == io.EOF {
		if _, err := o.opened.Summary(); err != nil {
			return n, o.call.blame(o.ctx, shield.StoreFailed, err)
		}
		return n, io.EOF
	}
	return n, o.call.blame(o.ctx, shield.StoreFailed, err)
}

func (o *content) Close() error {
	o.stop(shield.Errorf(shield.Canceled, "", "closed"))
	if o.blob != nil {
		o.call.shut(o.blob, o.opened)
	}
	o.call.leave()
	return nil
}

// A provenBlob reads a blob as it is, and ends well only if it is the one that
// the catalog knows.
type provenBlob struct {
	r      io.Reader
	t      *transfer
	want   *shield.Archive
	digest hash.Hash
	n      int64
}

func (b *provenBlob) Read(p []byte) (int, error) {
	n, err := waitingReader{b.r, b.t}.Read(p)
	b.n += int64(n)
	_, _ = b.digest.Write(p[:n])
	if err != io.EOF {
		return n, err
	}
	digest := "blake3:" + hex.EncodeToString(b.digest.Sum(nil))
	if b.n != b.want.StoredSize || digest != b.want.StoredDigest {
		return n, shield.Errorf(shield.Corrupt, "", "the blob has %d bytes, %s: archive %s has %d, %s", b.n, digest, b.want.UUID, b.want.StoredSize, b.want.StoredDigest)
	}
	return n, io.EOF
}
