package azure

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// The memory of an upload: 40 MiB in slabs, of which blocks are made.
const (
	slabSize  = 1 << 20
	poolSlabs = 40
	// hands is how many blocks are under way at once, memory permitting.
	hands = 5
	// blockLimit is how many blocks a blob may have.
	// https://learn.microsoft.com/azure/storage/blobs/scalability-targets
	blockLimit = 50_000
)

// slabsOf returns how large block number n is, in slabs. Blocks grow, so that
// 50,000 of them hold 1.3 TiB without the size being known beforehand, while
// small blobs need little memory and go up in parallel.
func slabsOf(n int) int {
	switch {
	case n < 8:
		return 1
	case n < 1_000:
		return 4
	case n < 5_000:
		return 8
	case n < 25_000:
		return 20
	}
	return 40
}

// blocks stages the blob block by block and commits it.
func (u *upload) blocks(ctx context.Context, r io.Reader, pool *rest.Pool, first *rest.Block) error {
	// Early, since the answer to the last request comes after all the bytes.
	if p, err := u.properties(ctx, u.object); err != nil && !errors.Is(err, shield.Forbidden) {
		return err
	} else if p != nil {
		return u.conflict()
	}
	crew, crewCtx := rest.NewCrew(ctx, hands)
	b, last := first, false
	for {
		if b.Size > 0 {
			u.stage(crew, b)
		} else {
			b.Release()
		}
		if last {
			break
		}
		if len(u.staged) == blockLimit {
			crew.Fail(shield.Errorf(shield.StoreFailed, "", "%s: %s is larger than the %d blocks of a blob can be here, %d bytes", u.account.base, u.object, blockLimit, u.size))
			break
		}
		var err error
		b, last, err = pool.Read(crewCtx, r, slabsOf(len(u.staged)))
		if err != nil {
			if crewCtx.Err() == nil {
				u.inputErr = err
			}
			crew.Fail(err)
			break
		}
	}
	if err := crew.Wait(); err != nil {
		return err
	}
	return u.commitBlocks(ctx)
}

// stage sends a block.
// https://learn.microsoft.com/rest/api/storageservices/put-block
func (u *upload) stage(crew *rest.Crew, b *rest.Block) {
	// All names of a blob's blocks have to be of one length.
	n := len(u.staged)
	name := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%s-%05d", u.token, n)))
	sum := checksum(b)
	u.staged = append(u.staged, name)
	u.crc = combineCRC(u.crc, sum, b.Size)
	u.size += b.Size
	crew.Go(func(ctx context.Context) error {
		defer b.Release()
		h := http.Header{}
		h.Set("x-ms-content-crc64", encodeCRC(sum))
		c := &call{
			op: fmt.Sprintf("write block %d of %s", n, u.object), method: http.MethodPut, object: u.object, header: h,
			query: url.Values{"comp": {"block"}, "blockid": {name}},
		}
		r, err := u.request(c)
		if err != nil {
			return err
		}
		r.Body, r.Length = func() io.Reader { return b.Reader(0) }, b.Size
		late, cancel := rest.Grace(ctx)
		defer cancel()
		_, err = u.checked(late, c, r)
		return err
	}, b.Release)
}

// checked sends a request with a checksum, again if the bytes were damaged on
// their way. An answer that is not the wanted one is an error, too.
func (s *store) checked(ctx context.Context, c *call, r *rest.Request) (*rest.Answer, error) {
	for try := 0; ; try++ {
		a, err := s.client.Do(ctx, r)
		if err != nil || a.Status == http.StatusCreated {
			return a, err
		}
		err = s.problem(c.op, a)
		if shield.CodeOf(err) != shield.Corrupt || try >= s.client.Retries {
			return a, err
		}
		if err := s.client.Pause(ctx, c.op, try, a, err); err != nil {
			return nil, err
		}
	}
}

// commitBlocks makes the blob of its blocks.
// https://learn.microsoft.com/rest/api/storageservices/put-block-list
func (u *upload) commitBlocks(ctx context.Context) error {
	var list strings.Builder
	list.WriteString(xml.Header + "<BlockList>")
	for _, name := range u.staged {
		list.WriteString("<Uncommitted>" + name + "</Uncommitted>")
	}
	list.WriteString("</BlockList>")
	h := u.headers()
	h.Set("Content-Type", "application/xml")
	c := &call{op: "commit the blocks of " + u.object, method: http.MethodPut, object: u.object, header: h, query: url.Values{"comp": {"blocklist"}}}
	return u.commit(ctx, c, int64(list.Len()), func() io.Reader { return strings.NewReader(list.String()) })
}

func checksum(b *rest.Block) uint64 {
	sum := uint64(0)
	b.Each(func(p []byte) { sum = crc64.Update(sum, crcTable, p) })
	return sum
}
