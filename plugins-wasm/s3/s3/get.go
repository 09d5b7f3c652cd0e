package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
)

// Get opens a blob.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	name, err := s.object(key)
	if err != nil {
		return nil, err
	}
	b := &blobReader{ctx: ctx, s: s, key: key, name: name, size: -1}
	if err := b.open(); err != nil {
		return nil, err
	}
	return b, nil
}

// A blobReader reads a blob and goes on where a connection has broken. It
// knows from the service how long the blob is, and ends nowhere else.
type blobReader struct {
	ctx       context.Context
	s         *store
	key, name string
	etag      string
	size, at  int64
	body      io.ReadCloser
	broken    int   // connections in a row that have given nothing
	brokenAt  int64 // where the last has broken
}

var _ io.WriterTo = (*blobReader)(nil)

func (b *blobReader) op(name string) op { return op{name, b.key, "s3:GetObject"} }

// open asks for what lies behind at. Asking for a range has the service tell
// the length of all.
func (b *blobReader) open() error {
	return b.s.attempt(b.ctx, b.op("get"), func(ctx context.Context) error {
		o := minio.GetObjectOptions{ServerSideEncryption: b.s.c.readSSEC()}
		o.Set("Range", fmt.Sprintf("bytes=%d-", b.at))
		if b.etag != "" {
			if err := o.SetMatchETag(b.etag); err != nil {
				return err
			}
		}
		body, info, header, err := b.s.core.GetObject(ctx, b.s.c.Bucket, b.name, o)
		if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable && b.at == 0 {
			return b.openEmpty(ctx)
		}
		if minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed {
			return ownError(shield.Corrupt, "the blob was replaced while it was read")
		}
		if err != nil {
			return err
		}
		size := info.Size
		if text := header.Get("Content-Range"); text != "" {
			var from, to int64
			if _, err := fmt.Sscanf(text, "bytes %d-%d/%d", &from, &to, &size); err != nil || from != b.at || to != size-1 {
				_ = body.Close()
				return ownError(shield.Corrupt, "the service gives %q where bytes from %d on were wanted", text, b.at)
			}
		} else if b.at != 0 {
			_ = body.Close()
			return ownError(shield.StoreFailed, "the service cannot go on after %d bytes", b.at)
		}
		if b.size >= 0 && size != b.size {
			_ = body.Close()
			return ownError(shield.Corrupt, "the blob has %d bytes now and had %d before", size, b.size)
		}
		b.body, b.size, b.etag = body, size, info.ETag
		return nil
	})
}

// openEmpty is for blobs that have no range.
func (b *blobReader) openEmpty(ctx context.Context) error {
	info, err := b.s.core.StatObject(ctx, b.s.c.Bucket, b.name, minio.StatObjectOptions{ServerSideEncryption: b.s.c.readSSEC()})
	if err == nil && info.Size != 0 {
		err = ownError(shield.Corrupt, "the service does not give the %d bytes that it has", info.Size)
	}
	b.body, b.size = http.NoBody, 0
	return err
}

// Read implements io.Reader.
func (b *blobReader) Read(p []byte) (int, error) {
	for {
		if b.at == b.size {
			return 0, io.EOF
		}
		n, err := b.body.Read(p[:min(int64(len(p)), b.size-b.at)])
		b.at += int64(n)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if err != nil {
			if err := b.resume(err); err != nil {
				return 0, err
			}
		}
	}
}

// WriteTo has the host move the bytes in the sandbox.
func (b *blobReader) WriteTo(w io.Writer) (int64, error) {
	from := b.at
	for b.at != b.size {
		sink := &sink{w: w}
		var n int64
		var err error
		if runtime.GOOS == "wasip1" {
			n, err = pdk.Copy(w, b.body)
			_, sink.err = w.Write(nil)
		} else {
			n, err = pdk.Copy(sink, b.body)
		}
		b.at += n
		if sink.err != nil {
			return b.at - from, sink.err
		}
		if b.at > b.size {
			return b.at - from, shield.Errorf(shield.Corrupt, b.op("get").String(), "%sthe service gives more than the %d bytes that it has", b.s.place(), b.size)
		}
		if b.at != b.size {
			if err := b.resume(err); err != nil {
				return b.at - from, err
			}
		}
	}
	return b.at - from, nil
}

// A sink knows whether the writer was what has failed.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// resume goes on after a connection has broken.
func (b *blobReader) resume(err error) error {
	_ = b.body.Close()
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if b.at > b.brokenAt {
		b.broken = 0
	}
	b.broken, b.brokenAt = b.broken+1, b.at
	if b.broken > b.s.c.Retries {
		return shield.Errorf(shield.Unavailable, b.op("get").String(), "%sit breaks off after %d of %d bytes: %w (tried %d times)", b.s.place(), b.at, b.size, err, b.broken)
	}
	b.s.log(fmt.Sprintf("get %q breaks off after %d of %d bytes: %s; going on", b.key, b.at, b.size, err))
	return b.open()
}

// Close ends reading.
func (b *blobReader) Close() error { return b.body.Close() }
