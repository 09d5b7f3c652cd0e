package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Put stores a blob.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.PutUntil(ctx, key, r, time.Time{})
}

// PutUntil stores a blob that nobody can remove before a time, if the endpoint
// asks for locks; zero is none.
func (s *store) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	none := plugin.Stored{}
	name, err := s.object(key)
	if err != nil {
		return none, err
	}
	b := &blobWriter{s: s, key: key, name: name, mark: rand.Text()}
	if s.c.LockMode != "none" {
		b.until = until
	}
	first, ended, err := b.readFirst(ctx, r)
	if err != nil {
		return none, err
	}
	if ended {
		err = b.whole(ctx, first)
	} else {
		err = b.inParts(ctx, first, r)
	}
	if err != nil {
		return none, err
	}
	size, err := b.check(ctx)
	if err != nil {
		return none, err
	}
	return plugin.Stored{Key: key, Size: size}, nil
}

// A blobWriter is one Put.
type blobWriter struct {
	s     *store
	key   string
	name  string // in the bucket
	mark  string // by which the object is known to be of this Put
	until time.Time
	size  int64
}

// markName is the user metadata that holds the mark.
const markName = "Shield-Upload"

func (b *blobWriter) op(name, permission string) op { return op{"put: " + name, b.key, permission} }

// options are those of the object as a whole.
func (b *blobWriter) options() minio.PutObjectOptions {
	c := b.s.c
	o := minio.PutObjectOptions{
		UserMetadata: map[string]string{markName: b.mark}, StorageClass: c.StorageClass,
		ServerSideEncryption: c.sse, DisableContentSha256: true,
	}
	if !b.until.IsZero() {
		o.Mode = minio.Governance
		if c.LockMode == "compliance" {
			o.Mode = minio.Compliance
		}
		o.RetainUntilDate = b.until.Add(time.Second - 1).Truncate(time.Second)
	}
	return o
}

// whole stores what fits into one part.
func (b *blobWriter) whole(ctx context.Context, p part) error {
	o := b.options()
	for k, v := range p.sum.header {
		o.UserMetadata[k] = v[0]
	}
	err := b.s.attempt(ctx, b.op("send", "s3:PutObject"), func(ctx context.Context) error {
		_, err := b.s.core.PutObject(ctx, b.s.c.Bucket, b.name, bytes.NewReader(p.data), int64(len(p.data)), p.sum.md5, p.sum.payload, o)
		return err
	})
	b.size = int64(len(p.data))
	if err != nil {
		b.takeBack(ctx)
	}
	return err
}

// check compares what the service says it holds with what was sent. It
// returns -1 for a size that it does not tell.
func (b *blobWriter) check(ctx context.Context) (int64, error) {
	info, err := b.stat(ctx)
	switch {
	case errors.Is(err, shield.Forbidden):
		b.s.log("the size of what was stored cannot be checked: s3:GetObject is missing")
		return -1, nil
	case errors.Is(err, shield.NotFound):
		after, cancel := afterwards(ctx)
		defer cancel()
		_ = b.s.abortUploads(after, b.op("check: abort", ""), b.name, "") // the error below says enough
		return 0, shield.Errorf(shield.StoreFailed, b.op("check", "").String(), "%sthe service has acknowledged it but does not have it", b.s.place())
	case err != nil:
		b.takeBack(ctx)
		return 0, err
	case info.UserMetadata[markName] != b.mark:
		return 0, shield.Errorf(shield.StoreFailed, b.op("check", "").String(), "%sthe service has acknowledged it but has something else", b.s.place())
	case info.Size != b.size:
		b.takeBack(ctx)
		return 0, shield.Errorf(shield.StoreFailed, b.op("check", "").String(), "%sthe service has %d bytes of %d", b.s.place(), info.Size, b.size)
	}
	return info.Size, nil
}

func (b *blobWriter) stat(ctx context.Context) (info minio.ObjectInfo, err error) {
	err = b.s.attempt(ctx, b.op("check", "s3:GetObject"), func(ctx context.Context) error {
		info, err = b.s.core.StatObject(ctx, b.s.c.Bucket, b.name, minio.StatObjectOptions{ServerSideEncryption: b.s.c.readSSEC()})
		return err
	})
	return info, err
}

// takeBack removes the object if it is of this Put: an answer that was lost
// may have been one of success.
func (b *blobWriter) takeBack(ctx context.Context) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	info, err := b.s.core.StatObject(ctx, b.s.c.Bucket, b.name, minio.StatObjectOptions{ServerSideEncryption: b.s.c.readSSEC()})
	if err != nil || info.UserMetadata[markName] != b.mark {
		return
	}
	if err := b.s.core.RemoveObject(ctx, b.s.c.Bucket, b.name, minio.RemoveObjectOptions{VersionID: info.VersionID}); err != nil {
		b.s.log("could not remove what has failed: " + err.Error())
	}
}

// afterwards is the context of cleaning up: a call that was cancelled has to
// end soon.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := time.Minute
	if ctx.Err() != nil {
		limit = 4 * time.Second
	}
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}
