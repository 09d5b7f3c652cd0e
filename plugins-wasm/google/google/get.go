package google

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Get opens an object.
// https://cloud.google.com/storage/docs/json_api/v1/objects/get
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	const op = "google.get"
	if err := rest.CheckKey(key); err != nil {
		return nil, err
	}
	name := s.prefix + key
	words := "read " + name
	x, err := s.read(ctx, words, name, 0, "")
	if shield.CodeOf(err) == shield.NotFound {
		return nil, shield.Errorf(shield.NotFound, op, "key %q is not in %s", key, s.client.Place)
	}
	if err != nil {
		return nil, rest.WithOp(op, err)
	}
	if x.Length < 0 {
		_ = x.Close()
		return nil, shield.Errorf(shield.StoreFailed, op, "%s: %s: the answer does not say its length", s.client.Place, words)
	}
	generation := x.Header.Get("X-Goog-Generation")
	d := s.client.NewDownload(ctx, op, words, x, x.Length, func(ctx context.Context, from int64) (*rest.Exchange, error) {
		return s.read(ctx, words, name, from, generation)
	})
	if want := crcOf(x.Header); want != nil {
		d.Expect(crc32.New(castagnoli), want)
	}
	return d, nil
}

// crcOf returns the checksum of an object that is being downloaded, nil if
// the service does not tell.
func crcOf(h http.Header) []byte {
	for _, line := range h.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(line, ",") {
			text, ok := strings.CutPrefix(strings.TrimSpace(part), "crc32c=")
			if !ok {
				continue
			}
			if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) == crc32.Size {
				return b
			}
		}
	}
	return nil
}

// read opens what follows from an offset on.
func (s *store) read(ctx context.Context, words, name string, from int64, generation string) (*rest.Exchange, error) {
	c := &call{op: words, method: http.MethodGet, object: name, query: url.Values{"alt": {"media"}}, header: http.Header{}}
	open := s.client.Open
	if generation != "" {
		c.query.Set("generation", generation)
		open = s.client.OpenOnce // the download counts its tries itself
	}
	if from > 0 {
		c.header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	for fresh := false; ; fresh = true {
		r, token, err := s.request(ctx, c)
		if err != nil {
			return nil, err
		}
		x, err := open(ctx, r, func(a *rest.Answer) error { return s.problem(ctx, words, a) })
		if shield.CodeOf(err) == shield.Unauthorized && !fresh {
			s.tokens.drop(token)
			continue
		}
		if err != nil || from == 0 || x.Status == http.StatusPartialContent {
			return x, err
		}
		_ = x.Close()
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the bytes from %d on were asked for and all were given", s.client.Place, words, from)
	}
}
