package s3

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// segment sends what comes next as an object of its own, has the service copy
// that into the upload as one part, and removes it.
func (b *blobWriter) segment(l *lanes, u *upload, number int, r io.Reader) (ended bool, err error) {
	buf, err := l.take()
	if err != nil {
		return false, err
	}
	p, ended, err := b.readPart(l.ctx, r, buf)
	if err != nil || len(p.data) == 0 {
		l.free <- buf
		return ended, err
	}
	o := b.options()
	o.Mode, o.RetainUntilDate = "", time.Time{}
	seg, err := b.begin(l.ctx, b.name+segmentSuffix, o)
	if err != nil {
		return false, err
	}
	l.send(seg, 1, p)
	b.size += int64(len(p.data))
	if !ended {
		ended, err = b.fill(l, seg, 2, b.s.plan.segment, r)
	}
	if waited := l.wait(); err == nil {
		err = waited
	}
	if err == nil {
		err = seg.complete(l.ctx, b.op("complete segment "+itoa(number), "s3:PutObject"))
	}
	if err != nil {
		seg.abort(l.ctx)
		return false, err
	}
	err = u.copy(l.ctx, seg, number)
	after, cancel := afterwards(l.ctx)
	defer cancel()
	if removed := b.s.removeAll(after, b.op("remove segment", "s3:DeleteObjectVersion"), seg.name); removed != nil {
		b.s.log("a segment is left until the key is purged: " + removed.Error())
	}
	return ended, err
}

// copy makes a part of an object.
func (u *upload) copy(ctx context.Context, from *upload, number int) error {
	s := u.b.s
	header := http.Header{}
	if sse := s.c.readSSEC(); sse != nil {
		sse.Marshal(header)
		encrypt.SSECopy(sse).Marshal(header)
	}
	headers := map[string]string{}
	for k := range header {
		headers[k] = header.Get(k)
	}
	return s.attempt(ctx, u.b.op("copy segment "+itoa(number), "s3:GetObject"), func(ctx context.Context) error {
		part, err := s.core.CopyObjectPart(ctx, s.c.Bucket, from.name, s.c.Bucket, u.name, u.id, number, 0, -1, headers)
		if err == nil {
			u.add(minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC32C: part.ChecksumCRC32C, ChecksumSHA256: part.ChecksumSHA256})
		}
		return err
	})
}
