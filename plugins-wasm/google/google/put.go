package google

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Put stores an object. One that fits into a slab of memory is sent in one
// request, a larger one by a resumable upload; nobody sees either until it is
// whole.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.PutUntil(ctx, key, r, time.Time{})
}

// PutUntil is Put, and then sets the object's retention, if the endpoint asks
// for it: only when it is known to be whole, since it cannot be removed from
// then on.
func (s *store) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	const op = "google.put"
	if err := rest.CheckKey(key); err != nil {
		return plugin.Stored{}, err
	}
	if s.mode == "none" {
		until = time.Time{}
	}
	u := &upload{store: s, name: s.prefix + key, token: rest.Token(), until: until}
	if err := u.run(ctx, r); err != nil {
		u.discard(ctx)
		if u.inputErr != nil {
			return plugin.Stored{}, u.inputErr
		}
		return plugin.Stored{}, rest.WithOp(op, err)
	}
	return plugin.Stored{Key: key, Size: u.size}, nil
}

// The memory of an upload: 40 MiB in slabs, of which chunks are made.
const (
	slabSize  = 1 << 20
	poolSlabs = 40
)

// slabsOf returns how large chunk number n is, in slabs: 16 MiB in the end,
// less for small objects. One is sent while the next is read. All but the last
// have to be multiples of 256 KiB.
func slabsOf(n int) int { return 1 << min(max(n-1, 0), 4) }

// tokenKey is the metadata by which an upload knows its object.
const tokenKey = "shieldupload"

// An upload is one Put.
type upload struct {
	*store
	name     string
	token    string // in the metadata of the object that this upload makes
	until    time.Time
	size     int64
	crc      uint32
	session  *url.URL // of a resumable upload
	keep     func()   // of the undo of the session
	sent     bool     // an object may be there
	inputErr error
}

func (u *upload) run(ctx context.Context, r io.Reader) error {
	pool := rest.NewPool(poolSlabs, slabSize)
	first, last, err := pool.Read(ctx, r, 1)
	if err != nil {
		u.inputErr = err
		return err
	}
	u.add(first)
	var o *object
	if last {
		o, err = u.single(ctx, first)
	} else {
		o, err = u.resumable(ctx, r, pool, first)
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := u.verify(ctx, o); err != nil {
		return err
	}
	u.forget()
	if u.until.IsZero() {
		return nil
	}
	return u.retain(ctx, o)
}

// add counts what is sent.
func (u *upload) add(b *rest.Block) {
	u.size += b.Size
	b.Each(func(p []byte) { u.crc = crc32.Update(u.crc, castagnoli, p) })
}

func (u *upload) encodedCRC() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, u.crc))
}

// resource is what the object is to be besides its bytes.
func (u *upload) resource() map[string]any {
	o := map[string]any{
		"name": u.name, "contentType": "application/octet-stream", "metadata": map[string]string{tokenKey: u.token},
	}
	if u.class != "" {
		o["storageClass"] = u.class
	}
	return o
}

// onlyNew is the condition that there is no object of that name yet.
const onlyNew = "0"

// single stores an object in one request, with its checksum, which the service
// compares.
// https://cloud.google.com/storage/docs/uploading-objects#multipart
func (u *upload) single(ctx context.Context, b *rest.Block) (*object, error) {
	resource := u.resource()
	resource["crc32c"] = u.encodedCRC()
	text, err := json.Marshal(resource)
	if err != nil {
		return nil, err
	}
	mark := "shield-" + u.token
	head := "--" + mark + "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n" + string(text) +
		"\r\n--" + mark + "\r\nContent-Type: application/octet-stream\r\n\r\n"
	tail := "\r\n--" + mark + "--\r\n"
	c := &call{
		op: "write " + u.name, method: http.MethodPost, upload: true,
		query:  url.Values{"uploadType": {"multipart"}, "ifGenerationMatch": {onlyNew}},
		header: http.Header{"Content-Type": {"multipart/related; boundary=" + mark}},
		body: func() io.Reader {
			return io.MultiReader(bytes.NewReader([]byte(head)), b.Reader(0), bytes.NewReader([]byte(tail)))
		},
		length: int64(len(head)) + b.Size + int64(len(tail)),
	}
	u.sent = true
	ctx, cancel := rest.Grace(ctx)
	defer cancel()
	for try := 0; ; try++ {
		o, a, err := u.insert(ctx, c)
		if a == nil || a.Status != http.StatusBadRequest || !isChecksum(a) || try >= u.client.Retries {
			return o, err
		}
		if err := u.client.Pause(ctx, c.op, try, a, err); err != nil {
			return nil, err
		}
	}
}

// isChecksum reports whether the service refused bytes that were damaged on
// their way.
func isChecksum(a *rest.Answer) bool {
	_, message := explain(a)
	return bytes.Contains(bytes.ToLower([]byte(message)), []byte("crc32c"))
}

// insert sends the request that makes the object. An answer that it exists
// already may mean that a try whose answer was lost has made it.
func (u *upload) insert(ctx context.Context, c *call) (*object, *rest.Answer, error) {
	a, err := u.do(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	if a.Status == http.StatusOK || a.Status == http.StatusCreated {
		o, err := u.parseObject(c.op, a.Body)
		return o, a, err
	}
	o, err := u.taken(ctx, c.op, a)
	return o, a, err
}

// taken returns the object that is in the way, if it is ours, or the error
// that the answer stands for.
func (u *upload) taken(ctx context.Context, op string, a *rest.Answer) (*object, error) {
	if a.Status == http.StatusPreconditionFailed {
		o, err := u.properties(ctx, u.name)
		if err == nil && o != nil && o.Metadata[tokenKey] == u.token {
			return o, nil
		}
		return nil, shield.Errorf(shield.Conflict, "", "%s: %s exists already", u.client.Place, u.name)
	}
	if isChecksum(a) {
		return nil, shield.Errorf(shield.Corrupt, "", "%s: %s: the bytes changed on their way: %s", u.client.Place, op, a.Words(explain(a)))
	}
	return nil, u.problem(ctx, op, a)
}

// verify asks the service what it has now, and compares that with what was
// acknowledged and with what was sent.
func (u *upload) verify(ctx context.Context, o *object) error {
	now, err := u.properties(ctx, u.name)
	if errors.Is(err, shield.Forbidden) {
		now, err = o, nil // whoever may only write has the acknowledgement
	}
	if err != nil {
		return err
	}
	if now == nil {
		return shield.Errorf(shield.Corrupt, "", "%s: the service acknowledged %s, and does not have it", u.client.Place, u.name)
	}
	for _, has := range []*object{o, now} {
		if has.Size != u.size || has.CRC32C != u.encodedCRC() || has.Generation != now.Generation {
			return shield.Errorf(shield.Corrupt, "", "%s: %s has %d bytes with the CRC32C %s there, not the %d with %s that were sent",
				u.client.Place, u.name, has.Size, has.CRC32C, u.size, u.encodedCRC())
		}
	}
	return nil
}

// retain sets the retention of the object.
// https://cloud.google.com/storage/docs/object-lock
func (u *upload) retain(ctx context.Context, o *object) error {
	until := u.until.Add(time.Second - time.Nanosecond).Truncate(time.Second).UTC()
	mode := map[string]string{"locked": "Locked", "unlocked": "Unlocked"}[u.mode]
	text, err := json.Marshal(map[string]any{"retention": retention{Mode: mode, RetainUntilTime: until.Format(time.RFC3339)}})
	if err != nil {
		return err
	}
	c := &call{
		op: "set the retention of " + u.name, method: http.MethodPatch, object: u.name,
		query:  url.Values{"generation": {o.Generation}},
		header: http.Header{"Content-Type": {"application/json"}},
		body:   func() io.Reader { return bytes.NewReader(text) }, length: int64(len(text)),
	}
	a, err := u.do(ctx, c)
	if err != nil {
		return err
	}
	if a.Status == http.StatusOK {
		kept, err := u.parseObject(c.op, a.Body)
		if err == nil && !kept.keptUntil().Before(until) {
			return nil
		}
	} else if err = u.problem(ctx, c.op, a); errors.Is(err, shield.Forbidden) || errors.Is(err, shield.Unauthorized) {
		return err
	}
	if now, _ := u.properties(ctx, u.name); now != nil && !now.keptUntil().Before(until) {
		return nil // the bucket's own retention keeps it for longer
	}
	return invalid("bucket", "%s keeps nothing until a time (%v): it needs object retention", u.bucket, err)
}

// cleanupTime is how long cleaning up after a failure may take.
const cleanupTime = 30 * time.Second

// discard removes what a failed upload has left. It goes on when ctx is done.
func (u *upload) discard(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err := u.cancel(ctx)
	if u.sent {
		err = shield.FirstError(err, u.eraseOwn(ctx))
	}
	if err != nil {
		u.log(fmt.Sprintf("what the failed upload has left could not be removed; deleting the key does, later: %v", err))
	}
}

// eraseOwn removes the object if it is the one that this upload made.
func (u *upload) eraseOwn(ctx context.Context) error {
	o, err := u.properties(ctx, u.name)
	if err != nil || o == nil || o.Metadata[tokenKey] != u.token {
		return err
	}
	return u.erase(ctx, u.name, o.Generation)
}
