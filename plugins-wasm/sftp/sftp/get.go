package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/pkg/sftp"

	"github.com/shieldhq/shield"
)

// Get opens a blob. It is read some blocks ahead, and goes on where it was if
// the connection breaks.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	const op = "sftp.get"
	if err := checkKey(key); err != nil {
		return nil, err
	}
	d := &download{store: s, ctx: ctx, key: key, name: s.full(key)}
	for try := 0; ; try++ {
		err := d.open()
		if err == nil {
			return d, nil
		}
		if try >= s.retries || !isPassing(err) || ctx.Err() != nil {
			return nil, s.failed(op, "read "+d.name, err)
		}
		s.log(fmt.Sprintf("%s: read %s: %v: trying again", s.place, d.name, err))
		if err := pause(ctx, try); err != nil {
			return nil, s.failed(op, "read "+d.name, err)
		}
	}
}

// A piece is a block that is being read.
type piece struct {
	b    []byte
	at   int64
	err  error
	done chan struct{}
}

// A download is a file that is being read.
type download struct {
	*store
	ctx  context.Context
	key  string
	name string

	client *client
	file   *sftp.File
	size   int64
	mtime  time.Time

	ahead []*piece // in order; the first holds what is read next
	spare [][]byte
	at    int64 // of what is read next
	tries int   // since bytes have come
	err   error
}

// open connects and opens the file, anew after a connection was lost.
func (d *download) open() error {
	c, err := d.store.open(d.ctx, "sftp.get", 0)
	if err != nil {
		return err
	}
	f, err := d.openFile(c)
	if err != nil {
		c.close()
		return err
	}
	d.client, d.file = c, f
	return nil
}

func (d *download) openFile(c *client) (f *sftp.File, err error) {
	info, err := c.stat(d.name)
	// A FIFO in a blob's place would hang the open.
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil, shield.Errorf(shield.NotFound, "sftp.get", "key %q is not in %s", d.key, d.place)
	}
	if err == nil && !info.Mode().IsRegular() {
		err = shield.Errorf(shield.StoreFailed, "", "is not a regular file")
	}
	if err != nil {
		return nil, err
	}
	if d.mtime.IsZero() {
		d.size, d.mtime = info.Size(), info.ModTime()
	} else if info.Size() != d.size || !info.ModTime().Equal(d.mtime) {
		return nil, shield.Errorf(shield.Corrupt, "", "the file was changed while it was read")
	}
	err = c.do(func() (err error) {
		f, err = c.Open(d.name)
		return err
	})
	return f, err
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	for {
		n, err := d.read(p)
		if err == nil || errors.Is(err, io.EOF) && d.at == d.size {
			d.err = err
			return n, err
		}
		if err = d.resume(err); err != nil {
			d.err = d.failed("sftp.get", fmt.Sprintf("read %s: after %d bytes of %d", d.name, d.at, d.size), err)
			return 0, d.err
		}
	}
}

// read gives bytes of the first piece.
func (d *download) read(p []byte) (int, error) {
	if d.ctx.Err() != nil {
		return 0, context.Cause(d.ctx)
	}
	d.request()
	if len(d.ahead) == 0 {
		return 0, io.EOF
	}
	first := d.ahead[0]
	<-first.done // soon after the context is, since that ends the connection
	if first.err != nil {
		return 0, first.err
	}
	n := copy(p, first.b[d.at-first.at:])
	d.at += int64(n)
	d.tries = 0
	if d.at == first.at+int64(len(first.b)) {
		d.spare = append(d.spare, first.b[:cap(first.b)])
		d.ahead = d.ahead[1:]
	}
	return n, nil
}

// request asks for as many blocks as may be under way.
func (d *download) request() {
	next := d.at
	if len(d.ahead) > 0 {
		last := d.ahead[len(d.ahead)-1]
		next = last.at + int64(len(last.b))
	}
	for len(d.ahead) < blocks && next < d.size {
		var b []byte
		if n := len(d.spare); n > 0 {
			b, d.spare = d.spare[n-1], d.spare[:n-1]
		} else {
			b = make([]byte, blockSize)
		}
		q := &piece{b: b[:min(int64(blockSize), d.size-next)], at: next, done: make(chan struct{})}
		next += int64(len(q.b))
		d.ahead = append(d.ahead, q)
		go q.read(d.client, d.file)
	}
}

func (q *piece) read(c *client, f *sftp.File) {
	defer close(q.done)
	var n int
	err := c.do(func() (err error) {
		n, err = f.ReadAt(q.b, q.at)
		return err
	})
	switch {
	case n == len(q.b):
	case errors.Is(err, io.EOF) || err == nil:
		// A connection that was closed says EOF, too.
		if q.err = c.do(func() error { _, err := f.Stat(); return err }); q.err != nil {
			return
		}
		q.err = shield.Errorf(shield.Corrupt, "", "the server gives no more than %d bytes", q.at+int64(n))
	default:
		q.err = err
	}
}

// resume makes a new connection if the old one was lost, so that reading goes
// on; else it returns the error.
func (d *download) resume(cause error) error {
	for isPassing(cause) && d.ctx.Err() == nil && d.tries < d.retries {
		d.abandon()
		d.log(fmt.Sprintf("%s: read %s: %v after %d bytes of %d: going on over a new connection", d.place, d.name, cause, d.at, d.size))
		if err := pause(d.ctx, d.tries); err != nil {
			return err
		}
		d.tries++
		if cause = d.open(); cause == nil {
			return nil
		}
	}
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	return cause
}

// abandon ends the connection and what is under way on it.
func (d *download) abandon() {
	if d.client == nil {
		return
	}
	d.client.close()
	for _, q := range d.ahead {
		<-q.done
		d.spare = append(d.spare, q.b[:cap(q.b)])
	}
	d.client, d.ahead = nil, nil
}

// Close implements io.Closer.
func (d *download) Close() error {
	d.abandon()
	if d.err == nil {
		d.err = fs.ErrClosed
	}
	return nil
}
