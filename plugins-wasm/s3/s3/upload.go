package s3

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

// An upload is one in parts, begun and not yet completed.
type upload struct {
	b       *blobWriter
	name    string // of the object
	id      string
	options minio.PutObjectOptions
	undo    io.Closer // aborts the upload if the plugin is stopped

	mu    sync.Mutex
	parts []minio.CompletePart
}

// begin begins an upload. If an answer was lost there may be another upload
// by now, which nobody would ever end.
func (b *blobWriter) begin(ctx context.Context, name string, o minio.PutObjectOptions) (*upload, error) {
	if b.s.c.declares() {
		o.UserMetadata[checksumHeader+"Algorithm"] = strings.ToUpper(b.s.c.Checksum)
	}
	u := &upload{b: b, name: name, options: o}
	tries := 0
	err := b.s.attempt(ctx, b.op("begin", "s3:PutObject"), func(ctx context.Context) (err error) {
		tries++
		u.id, err = b.s.core.NewMultipartUpload(ctx, b.s.c.Bucket, name, o)
		if err == nil && u.id == "" {
			err = ownError(shield.StoreFailed, "the service has begun an upload without telling its id")
		}
		return err
	})
	if tries > 1 || err != nil {
		after, cancel := afterwards(ctx)
		defer cancel()
		if err := b.s.abortUploads(after, b.op("abort", ""), name, u.id); err != nil {
			b.s.log("could not look for an upload whose begin was not confirmed: " + err.Error())
		}
	}
	if err != nil {
		return nil, err
	}
	return u, u.arm(ctx)
}

// arm has the host abort the upload if the plugin is stopped: then no code of
// ours runs any more. A signature in a URL is good for a week.
func (u *upload) arm(ctx context.Context) error {
	s := u.b.s
	if s.c.Signature == "2" {
		u.undo = io.NopCloser(nil)
		return nil
	}
	abort, err := s.core.Presign(ctx, http.MethodDelete, s.c.Bucket, u.name, 7*24*time.Hour, url.Values{"uploadId": {u.id}})
	if err == nil {
		u.undo, err = pdkhttp.Undo(s.c.httpOptions(), &http.Request{Method: http.MethodDelete, URL: abort, Header: http.Header{}})
	}
	if err != nil {
		u.abort(ctx)
	}
	return err
}

// send sends a part, again if need be, and has the service compare it with
// its checksum.
func (u *upload) send(ctx context.Context, number int, p part) error {
	s, sum := u.b.s, p.sum
	var part minio.ObjectPart
	err := s.attempt(ctx, u.b.op("send part "+itoa(number), "s3:PutObject"), func(ctx context.Context) (err error) {
		part, err = s.core.PutObjectPart(ctx, s.c.Bucket, u.name, u.id, number, bytes.NewReader(p.data), int64(len(p.data)), minio.PutObjectPartOptions{
			Md5Base64: sum.md5, Sha256Hex: sum.payload, CustomHeader: sum.header.Clone(), DisableContentSha256: true, SSE: s.c.readSSEC(),
		})
		if got := part.ChecksumCRC32C + part.ChecksumSHA256; err == nil && got != "" && sum.value != "" && got != sum.value {
			err = ownError(shield.Corrupt, "the service has a part with the checksum %s instead of %s", got, sum.value)
		}
		return err
	})
	if err != nil {
		return err
	}
	u.add(minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumCRC32C: part.ChecksumCRC32C, ChecksumSHA256: part.ChecksumSHA256})
	return nil
}

// add keeps what completing needs to know of a part.
func (u *upload) add(p minio.CompletePart) {
	if !u.b.s.c.declares() || u.b.s.c.Checksum != "crc32c" {
		p.ChecksumCRC32C = ""
	}
	if !u.b.s.c.declares() || u.b.s.c.Checksum != "sha256" {
		p.ChecksumSHA256 = ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = append(u.parts, p)
}

// complete makes the object out of the parts. If the answer is lost the
// object itself tells whether it was made.
func (u *upload) complete(ctx context.Context, o op) error {
	slices.SortFunc(u.parts, func(a, b minio.CompletePart) int { return a.PartNumber - b.PartNumber })
	s := u.b.s
	err := s.attempt(ctx, o, func(ctx context.Context) error {
		_, err := s.core.CompleteMultipartUpload(ctx, s.c.Bucket, u.name, u.id, u.parts, minio.PutObjectOptions{ServerSideEncryption: s.c.readSSEC()})
		if err != nil && minio.ToErrorResponse(err).Code == "NoSuchUpload" && u.made(ctx) {
			return nil
		}
		return err
	})
	if err != nil && ctx.Err() == nil && u.made(ctx) {
		err = nil
	}
	if err == nil {
		u.disarm()
	}
	return err
}

// made reports whether the object is there.
func (u *upload) made(ctx context.Context) bool {
	s := u.b.s
	info, err := s.core.StatObject(ctx, s.c.Bucket, u.name, minio.StatObjectOptions{ServerSideEncryption: s.c.readSSEC()})
	return err == nil && info.UserMetadata[markName] == u.b.mark
}

// abort frees the parts. What cannot be aborted now, Delete will.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	s := u.b.s
	err := s.attempt(ctx, u.b.op("abort", "s3:AbortMultipartUpload"), func(ctx context.Context) error {
		err := s.core.AbortMultipartUpload(ctx, s.c.Bucket, u.name, u.id)
		if minio.ToErrorResponse(err).Code == "NoSuchUpload" {
			err = nil
		}
		return err
	})
	if err != nil {
		s.log("the upload " + u.id + " is left unfinished until the key is purged: " + err.Error())
		return // the host may still have more luck
	}
	u.disarm()
}

func (u *upload) disarm() {
	if u.undo != nil {
		_ = u.undo.Close()
	}
}
