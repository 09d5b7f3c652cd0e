package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Put stores a blob. One that fits into a slab of memory is sent in one
// request; of a larger one blocks are staged, which nobody sees until all of
// them are committed.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.PutUntil(ctx, key, r, time.Time{})
}

// PutUntil is Put, and then gives the blob an immutability policy, if the
// endpoint asks for one: only when it is known to be whole, since it cannot be
// removed from then on.
func (s *store) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	const op = "azure.put"
	if err := rest.CheckKey(key); err != nil {
		return plugin.Stored{}, err
	}
	if s.mode == "none" {
		until = time.Time{}
	}
	u := &upload{store: s, object: s.prefix + key, token: rest.Token(), until: until}
	if err := u.run(ctx, r); err != nil {
		u.discard(ctx)
		if u.inputErr != nil {
			return plugin.Stored{}, u.inputErr
		}
		return plugin.Stored{}, rest.WithOp(op, err)
	}
	return plugin.Stored{Key: key, Size: u.size}, nil
}

// An upload is one Put.
type upload struct {
	*store
	object   string
	token    string // in the metadata of the blob that this upload makes
	until    time.Time
	size     int64
	crc      uint64
	staged   []string // the names of blocks, in order
	sent     bool     // a blob may be there
	inputErr error
}

func (u *upload) run(ctx context.Context, r io.Reader) error {
	pool := rest.NewPool(poolSlabs, slabSize)
	first, last, err := pool.Read(ctx, r, 1)
	if err != nil {
		u.inputErr = err
		return err
	}
	if last {
		err = u.single(ctx, first)
	} else {
		err = u.blocks(ctx, r, pool, first)
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := u.verify(ctx); err != nil {
		return err
	}
	if u.until.IsZero() {
		return nil
	}
	return u.keep(ctx)
}

// single stores a blob that fits into one block.
// https://learn.microsoft.com/rest/api/storageservices/put-blob
func (u *upload) single(ctx context.Context, b *rest.Block) error {
	u.size, u.crc = b.Size, checksum(b)
	h := u.headers()
	h.Set("x-ms-blob-type", "BlockBlob")
	h.Set("x-ms-content-crc64", encodeCRC(u.crc))
	return u.commit(ctx, &call{op: "write " + u.object, method: http.MethodPut, object: u.object, header: h}, b.Size, func() io.Reader { return b.Reader(0) })
}

// headers are those of a blob that must not be there yet.
func (u *upload) headers() http.Header {
	h := http.Header{}
	h.Set("If-None-Match", "*")
	h.Set("x-ms-blob-content-type", "application/octet-stream")
	h.Set(tokenHeader, u.token)
	h.Set(crcHeader, encodeCRC(u.crc))
	if u.tier != "" {
		h.Set("x-ms-access-tier", tiers[u.tier])
	}
	return h
}

// tiers are the names that the service has for them. It is never written to.
var tiers = map[string]string{"hot": "Hot", "cool": "Cool", "cold": "Cold"}

// commit sends the request that makes the blob. An answer that it exists
// already may mean that a try whose answer was lost has made it.
func (u *upload) commit(ctx context.Context, c *call, size int64, body func() io.Reader) error {
	r, err := u.request(c)
	if err != nil {
		return err
	}
	r.Body, r.Length = body, size
	u.sent = true
	late, cancel := rest.Grace(ctx)
	defer cancel()
	a, err := u.checked(late, c, r)
	if err == nil || a == nil || a.Status != http.StatusConflict && a.Status != http.StatusPreconditionFailed {
		return err
	}
	p, propertiesErr := u.properties(ctx, u.object)
	if propertiesErr == nil && p != nil && p.Get(tokenHeader) == u.token {
		return nil
	}
	if errors.Is(err, shield.Conflict) {
		return u.conflict()
	}
	return err
}

func (u *upload) conflict() error {
	return shield.Errorf(shield.Conflict, "", "%s: %s exists already", u.account.base, u.object)
}

// verify asks the service what it has now.
func (u *upload) verify(ctx context.Context) error {
	p, err := u.properties(ctx, u.object)
	if errors.Is(err, shield.Forbidden) {
		return nil // whoever may only write has the acknowledgement
	}
	if err != nil {
		return err
	}
	if p == nil {
		return shield.Errorf(shield.Corrupt, "", "%s: the service acknowledged %s, and does not have it", u.account.base, u.object)
	}
	if got := p.Get("Content-Length"); got != fmt.Sprint(u.size) || p.Get(tokenHeader) != u.token {
		return shield.Errorf(shield.Corrupt, "", "%s: %s has %s bytes, not the %d that were sent", u.account.base, u.object, got, u.size)
	}
	return nil
}

// keep sets the immutability policy.
// https://learn.microsoft.com/rest/api/storageservices/set-blob-immutability-policy
func (u *upload) keep(ctx context.Context) error {
	until := u.until.Add(time.Second - time.Nanosecond).Truncate(time.Second).UTC()
	h := http.Header{}
	h.Set("x-ms-immutability-policy-until-date", until.Format(http.TimeFormat))
	h.Set("x-ms-immutability-policy-mode", u.mode)
	c := &call{
		op: "set the immutability policy of " + u.object, method: http.MethodPut, object: u.object, header: h,
		query: url.Values{"comp": {"immutabilityPolicies"}},
	}
	a, err := u.do(ctx, c)
	if err != nil {
		return err
	}
	if a.Status == http.StatusOK {
		return nil
	}
	if p, _ := u.properties(ctx, u.object); p != nil && !policyEnd(p).Before(until) {
		return nil // the container's own policy keeps it for longer
	}
	err = u.problem(c.op, a)
	if errors.Is(err, shield.Forbidden) || errors.Is(err, shield.Unauthorized) {
		return err
	}
	return invalid("container", "%s keeps nothing until a time (%v): it needs support for immutability of versions", u.account.base, err)
}

// policyEnd is when the immutability policy of a blob ends, zero without one.
func policyEnd(properties http.Header) time.Time {
	at, _ := http.ParseTime(properties.Get("x-ms-immutability-policy-until-date"))
	return at.UTC()
}
