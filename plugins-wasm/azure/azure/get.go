package azure

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// The metadata that archives have: who made them, and the checksum of all
// bytes, which the service does not keep for a blob made of blocks.
const (
	tokenHeader = "x-ms-meta-shieldupload"
	crcHeader   = "x-ms-meta-shieldcrc64"
)

// Get opens a blob.
// https://learn.microsoft.com/rest/api/storageservices/get-blob
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	const op = "azure.get"
	if err := rest.CheckKey(key); err != nil {
		return nil, err
	}
	object, words := s.prefix+key, "read "+s.prefix+key
	x, err := s.read(ctx, words, object, 0, "")
	if isMissing(err) {
		return nil, shield.Errorf(shield.NotFound, op, "key %q is not in %s", key, s.account.base)
	}
	if err != nil {
		return nil, rest.WithOp(op, err)
	}
	if x.Length < 0 {
		_ = x.Close()
		return nil, shield.Errorf(shield.StoreFailed, op, "%s: %s: the answer does not say its length", s.account.base, words)
	}
	etag := x.Header.Get("ETag")
	d := s.client.NewDownload(ctx, op, words, x, x.Length, func(ctx context.Context, from int64) (*rest.Exchange, error) {
		return s.read(ctx, words, object, from, etag)
	})
	if want, ok := decodeCRC(x.Header.Get(crcHeader)); ok {
		d.Expect(crc64.New(crcTable), bigEndian(want))
	}
	return d, nil
}

// read opens what follows from an offset on. After a passing failure it tries
// again.
func (s *store) read(ctx context.Context, words, object string, from int64, etag string) (*rest.Exchange, error) {
	h := http.Header{}
	if from > 0 {
		h.Set("x-ms-range", fmt.Sprintf("bytes=%d-", from))
	}
	if etag != "" {
		h.Set("If-Match", etag)
	}
	r, err := s.request(&call{op: words, method: http.MethodGet, object: object, header: h})
	if err != nil {
		return nil, err
	}
	open := s.client.Open
	if etag != "" {
		open = s.client.OpenOnce // the download counts its tries itself
	}
	x, err := open(ctx, r, func(a *rest.Answer) error {
		if a.Status == http.StatusPreconditionFailed {
			return shield.Errorf(shield.Conflict, "", "%s: %s: it was replaced while it was read", s.account.base, words)
		}
		return s.problem(words, a)
	})
	if err != nil || from == 0 || x.Status == http.StatusPartialContent {
		return x, err
	}
	_ = x.Close()
	return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the bytes from %d on were asked for and all were given", s.account.base, words, from)
}

// bigEndian is a checksum as package hash gives it.
func bigEndian(sum uint64) []byte { return binary.BigEndian.AppendUint64(nil, sum) }
