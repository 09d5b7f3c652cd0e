package storewire

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// An Opener opens, in place of a plugin, the store that a Handler serves. It
// says of itself what the plugin says.
type Opener struct {
	About  plugin.Info
	Client *http.Client
	Base   string // URL that the Handler is mounted at
}

var _ plugin.Opener = (*Opener)(nil)

// Info returns what the plugin says.
func (o *Opener) Info(context.Context) (plugin.Info, error) { return o.About, nil }

// OpenTarget returns Invalid: it is a store that is elsewhere.
func (o *Opener) OpenTarget(context.Context, shield.Endpoint, plugin.Log) (plugin.Target, error) {
	return nil, plugin.RoleError(o.About.Name, plugin.RoleTarget)
}

// OpenStore returns the store. The other side has its endpoint.
func (o *Opener) OpenStore(context.Context, shield.Endpoint, plugin.Log) (plugin.Store, error) {
	s := &store{o.Client, o.Base}
	var a able.StoreAbilities
	if o.About.Can(plugin.ActionList) {
		a.Lister = s
	}
	if o.About.Keeping {
		a.Keeper = s
	}
	if o.About.Can(plugin.ActionTest) {
		a.Tester = s
	}
	return able.Store(bare{s}, a), nil
}

// bare has no abilities but those of every store.
type bare struct{ plugin.Store }

type store struct {
	client *http.Client
	base   string
}

func (s *store) call(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, err
	}
	if m, ok := body.(*meter); ok {
		req.Trailer = http.Header{lengthTrailer: nil, digestTrailer: nil}
		req.Body = &sentBody{m, ctx, req.Trailer}
		req.ContentLength = -1
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if err := ReadError(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// failed keeps the codes of what is inside: the end of ctx, and the error of
// the stream that was sent.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var e *shield.Error
	if errors.As(err, &e) {
		return e
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return shield.Errorf(shield.Unavailable, "", "the link to where the store is broke: %w", err)
}

// sentBody sets the trailers when all is read, unless the call is over: an end
// that comes after that must not be one for the other side.
type sentBody struct {
	*meter
	ctx     context.Context
	trailer http.Header
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.meter.Read(p)
	if err == io.EOF && b.ctx.Err() != nil {
		return n, context.Cause(b.ctx)
	}
	if err == io.EOF {
		b.trailers(b.trailer)
	}
	return n, err
}

// sentAtOnce is how much is read and sent as one piece. Of less, more would go
// into the ends of packets and chunks.
const sentAtOnce = 256 << 10

// WriteTo is what the transport calls, where Read would be asked for 32 KiB.
func (b *sentBody) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(w, struct{ io.Reader }{b}, make([]byte, sentAtOnce))
}

func (b *sentBody) Close() error { return nil }

// Put sends the blob and compares what arrived.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.put(ctx, url.Values{"key": {key}}, r)
}

// PutUntil is Put, kept until a time.
func (s *store) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	return s.put(ctx, url.Values{"key": {key}, "until": {until.UTC().Format(time.RFC3339Nano)}}, r)
}

func (s *store) put(ctx context.Context, query url.Values, r io.Reader) (plugin.Stored, error) {
	src := &sticky{r: r}
	m := newMeter(src)
	m.known, _ = r.(plugin.Digester)
	resp, err := s.call(ctx, http.MethodPut, "/blob", query, m)
	if own := src.failure(); own != nil {
		if err == nil {
			resp.Body.Close()
		}
		return plugin.Stored{}, own
	}
	if err != nil {
		return plugin.Stored{}, err
	}
	defer resp.Body.Close()
	var got received
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&got); err != nil {
		return plugin.Stored{}, shield.Errorf(shield.Unavailable, "", "the answer to a stored blob was cut off: %v", err)
	}
	if !m.ended.Load() {
		return plugin.Stored{}, shield.Errorf(shield.StoreFailed, "", "the other side says that the blob is stored before it was sent all of it")
	}
	if got.Size != m.n || got.Digest != m.digest() {
		return plugin.Stored{}, shield.Errorf(shield.StoreFailed, "", "%d bytes with digest %.80s arrived where the store is, %d with %s were sent", got.Size, got.Digest, m.n, m.digest())
	}
	return got.Stored, nil
}

// sticky remembers the error of a stream: what is sent must not end well
// then, and the transport does not pass it on.
type sticky struct {
	r  io.Reader
	mu sync.Mutex
	// err is read when the transport may still be reading.
	err error
}

func (s *sticky) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

func (s *sticky) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Get opens the blob. Its end is given only if all of it arrived.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	resp, err := s.call(ctx, http.MethodGet, "/blob", url.Values{"key": {key}}, nil)
	if err != nil {
		return nil, err
	}
	return &gotBody{newMeter(resp.Body), ctx, resp}, nil
}

type gotBody struct {
	*meter
	ctx  context.Context
	resp *http.Response
}

func (b *gotBody) Read(p []byte) (int, error) {
	n, err := b.meter.Read(p)
	switch err {
	case nil:
	case io.EOF:
		if bad := b.check(b.resp.Trailer); bad != nil {
			err = bad
		}
	default:
		err = failed(b.ctx, err)
	}
	return n, err
}

func (b *gotBody) Close() error { return b.resp.Body.Close() }

// Delete removes a blob.
func (s *store) Delete(ctx context.Context, key string) error {
	return s.plain(ctx, http.MethodDelete, "/blob", url.Values{"key": {key}})
}

// Test asks the other side to test the store.
func (s *store) Test(ctx context.Context) error { return s.plain(ctx, http.MethodPost, "/test", nil) }

func (s *store) plain(ctx context.Context, method, path string, query url.Values) error {
	resp, err := s.call(ctx, method, path, query, nil)
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

// List lists the blobs.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	resp, err := s.call(ctx, http.MethodGet, "/list", url.Values{"prefix": {prefix}}, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l listed
		switch err := json.Unmarshal(lines.Bytes(), &l); {
		case err != nil:
			return shield.Errorf(shield.Unavailable, "", "the list of blobs cannot be read: %v", err)
		case l.End:
			return l.Error.Err()
		case l.Object != nil:
			if err := yield(*l.Object); err != nil {
				return err
			}
		}
	}
	return failed(ctx, cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}
