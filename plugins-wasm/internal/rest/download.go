package rest

import (
	"context"
	"errors"
	"hash"
	"io"
	"net/http"

	"github.com/shieldhq/shield"
)

// A Source asks for the bytes of one object from an offset on, always of the
// same version of it.
type Source func(ctx context.Context, from int64) (*Exchange, error)

// A Download is the bytes of an object. When the connection breaks it asks for
// the rest. It ends with io.EOF only when as many bytes came as the object
// has, and they have its checksum.
type Download struct {
	client *Client
	ctx    context.Context
	cancel context.CancelFunc
	name   string // of the operation, like "azure.get"
	op     string // what its requests do
	open   Source
	x      *Exchange
	size   int64
	at     int64
	sum    hash.Hash // nil: nothing to compare with
	want   []byte
	failed error
	tries  int // since the last byte came
}

// NewDownload returns the download whose first exchange has begun; size is
// that of the object. Closing it, or the end of ctx, ends it. name and op are
// for errors: the operation, and what its requests do.
func (c *Client) NewDownload(ctx context.Context, name, op string, x *Exchange, size int64, open Source) *Download {
	d := &Download{client: c, name: name, op: op, open: open, x: x, size: size}
	d.ctx, d.cancel = context.WithCancel(ctx)
	return d
}

// Expect has the bytes compared with a checksum at their end.
func (d *Download) Expect(sum hash.Hash, want []byte) { d.sum, d.want = sum, want }

// Read implements io.Reader.
func (d *Download) Read(p []byte) (int, error) {
	if d.failed != nil {
		return 0, d.failed
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if d.ctx.Err() != nil {
			d.failed = context.Cause(d.ctx)
			return 0, d.failed
		}
		if d.at == d.size {
			d.failed = WithOp(d.name, d.end())
			return 0, d.failed
		}
		n, err := d.some(p)
		err = WithOp(d.name, err)
		if n > 0 || err != nil {
			d.failed = err
			return n, err
		}
	}
}

// some returns bytes, an error that ends the download, or neither, after which
// it is to be called again.
func (d *Download) some(p []byte) (int, error) {
	if d.x == nil {
		x, err := d.open(d.ctx, d.at)
		if err != nil {
			return 0, d.again(err)
		}
		d.x = x
	}
	n, err := d.x.Read(p[:min(int64(len(p)), d.size-d.at)])
	d.at += int64(n)
	if n > 0 {
		d.tries = 0
		if d.sum != nil {
			_, _ = d.sum.Write(p[:n]) // hashes do not fail
		}
		return n, nil
	}
	if err == nil {
		return 0, nil
	}
	_ = d.x.Close()
	d.x = nil
	if errors.Is(err, io.EOF) {
		err = shield.Errorf(shield.Unavailable, "", "%s: %s: the answer ended after %d bytes of %d", d.client.Place, d.op, d.at, d.size)
	}
	return 0, d.again(err)
}

// again returns err if trying again is of no use.
func (d *Download) again(err error) error {
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	if !Passing(err) || d.tries >= d.client.Retries {
		return err
	}
	d.tries++
	return d.client.Pause(d.ctx, d.op, d.tries-1, nil, err)
}

func (d *Download) end() error {
	if d.sum == nil {
		return io.EOF
	}
	if got := d.sum.Sum(nil); string(got) != string(d.want) {
		return shield.Errorf(shield.Corrupt, "", "%s: %s: the bytes that came have the checksum %x, and the store noted %x when it got them", d.client.Place, d.op, got, d.want)
	}
	return io.EOF
}

// Close implements io.Closer.
func (d *Download) Close() error {
	d.cancel()
	if d.failed == nil {
		d.failed = io.ErrClosedPipe
	}
	if d.x == nil {
		return nil
	}
	x := d.x
	d.x = nil
	return x.Close()
}

// Open sends the request of a download until it is answered with its bytes.
// Another answer is an error, which refuse makes; what is passing is tried
// again.
func (c *Client) Open(ctx context.Context, r *Request, refuse func(*Answer) error) (*Exchange, error) {
	for try := 0; ; try++ {
		x, err := c.OpenOnce(ctx, r, refuse)
		if err == nil {
			return x, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if try >= c.Retries || !Passing(err) {
			return nil, err
		}
		if err := c.Pause(ctx, r.Op, try, nil, err); err != nil {
			return nil, err
		}
	}
}

// OpenOnce is Open with one try.
func (c *Client) OpenOnce(ctx context.Context, r *Request, refuse func(*Answer) error) (*Exchange, error) {
	x, err := c.Stream(ctx, r)
	if err != nil {
		return nil, err
	}
	if x.Status == http.StatusOK || x.Status == http.StatusPartialContent {
		return x, nil
	}
	defer x.Close()
	b, err := io.ReadAll(io.LimitReader(x, answerLimit))
	if err != nil {
		return nil, err
	}
	return nil, refuse(&Answer{x.Status, x.Header, b})
}
