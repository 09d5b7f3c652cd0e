package sftp

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/pkg/sftp"

	"github.com/shieldhq/shield"
)

// What is under way at once, in one direction: 4 MiB, more than the windows of
// SSH connections let out.
const (
	blockSize = 256 << 10
	blocks    = 16
)

// A writer writes a stream to a file, some blocks at once.
type writer struct {
	*client
	file *sftp.File
	free chan []byte
	wg   sync.WaitGroup

	mu     sync.Mutex
	err    error
	failed chan struct{} // closed with the first error
}

func newWriter(c *client, f *sftp.File) *writer {
	w := &writer{client: c, file: f, free: make(chan []byte, blocks), failed: make(chan struct{})}
	for range blocks {
		w.free <- nil
	}
	return w
}

// from writes all that r gives and returns how much that was. An error of r is
// returned as it is; the caller can ask r whose it was.
func (w *writer) from(ctx context.Context, r io.Reader) (size int64, err error) {
	defer w.wg.Wait()
	for {
		var b []byte
		select {
		case b = <-w.free:
		case <-w.failed:
			return size, w.cause()
		case <-ctx.Done():
			return size, context.Cause(ctx)
		}
		if b == nil {
			b = make([]byte, blockSize)
		}
		n, err := io.ReadFull(r, b)
		if n > 0 {
			w.start(b[:n], size)
			size += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			w.wg.Wait()
			return size, w.cause()
		}
		if err != nil {
			return size, err
		}
	}
}

// start writes a block in the background.
func (w *writer) start(b []byte, at int64) {
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		err := w.do(func() error {
			_, err := w.file.WriteAt(b, at)
			return err
		})
		if err != nil {
			w.fail(err)
		}
		w.free <- b[:cap(b)]
	}()
}

func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
		close(w.failed)
	}
}

func (w *writer) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// scant is how much room a disk has that is as good as full.
const scant = blocks * blockSize

// explain tells what may be behind a write that has failed without a reason.
func (w *writer) explain(err error, folder string) error {
	if !isFailure(err) {
		return err
	}
	v, ok, roomErr := w.room(folder)
	if roomErr == nil && ok && v.Bavail*v.Frsize < scant {
		return shield.Errorf(shield.StoreFailed, "", "no space is left on the server: %s of %s are free (%w)", size(v.Bavail*v.Frsize), size(v.Blocks*v.Frsize), err)
	}
	return shield.Errorf(shield.StoreFailed, "", "the server does not say why (%w): most often no space is left, a quota is exceeded, or a file is larger than allowed", err)
}
