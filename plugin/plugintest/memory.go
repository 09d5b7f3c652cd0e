package plugintest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Memory is a plugin called "memory" that keeps everything in memory. Its
// endpoint is {"name": "x"}, for a target and for a store: what is opened
// with the same name of the same Memory is the same place. It passes the
// suite, lists, tests and honours wanted keys. It is safe for concurrent use.
//
// A field "password" is accepted, secret, and means nothing.
type Memory struct {
	mu      sync.Mutex
	targets map[string]func() io.Reader
	stores  map[string]map[string]stored
	puts    int
}

type stored struct {
	content []byte
	at      time.Time
}

var _ plugin.Opener = (*Memory)(nil)

// NewMemory returns a Memory without targets and with empty stores.
func NewMemory() *Memory {
	return &Memory{targets: map[string]func() io.Reader{}, stores: map[string]map[string]stored{}}
}

// SetTarget makes the target called name hold content.
func (m *Memory) SetTarget(name string, content []byte) {
	content = bytes.Clone(content)
	m.setTarget(name, func() io.Reader { return bytes.NewReader(content) })
}

// GenerateTarget makes the target called name hold what Stream(size, seed)
// gives, without keeping it in memory.
func (m *Memory) GenerateTarget(name string, size int64, seed uint64) {
	m.setTarget(name, func() io.Reader { return Stream(size, seed) })
}

func (m *Memory) setTarget(name string, content func() io.Reader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.targets[name] = content
}

// Target returns what the target called name holds, as it was set or as the
// last Restore that ended well left it, and whether there is such a target.
func (m *Memory) Target(name string) ([]byte, bool) {
	content := m.target(name)
	if content == nil {
		return nil, false
	}
	b, err := io.ReadAll(content())
	return b, err == nil
}

func (m *Memory) target(name string) func() io.Reader {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.targets[name]
}

// Keys returns the keys of the blobs in the store called name, sorted.
func (m *Memory) Keys(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.stores[name]))
}

// Blob returns one blob of the store called name, and whether it is there.
func (m *Memory) Blob(name, key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.stores[name][key]
	return bytes.Clone(b.content), ok
}

// SetBlob puts content into the store called name, as if by another program.
func (m *Memory) SetBlob(name, key string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stores[name] == nil {
		m.stores[name] = map[string]stored{}
	}
	m.stores[name][key] = stored{bytes.Clone(content), time.Now().UTC()}
}

// RemoveBlob removes a blob from the store called name, as if by another
// program.
func (m *Memory) RemoveBlob(name, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stores[name], key)
}

// Info implements plugin.Opener.
func (m *Memory) Info(context.Context) (plugin.Info, error) {
	return plugin.Info{
		Name:     "memory",
		Author:   "shield",
		Version:  "1.0.0",
		Features: plugin.Features{Target: "yes", Store: "yes"},
		Fields: []plugin.Field{
			{Mode: plugin.RoleBoth, Name: "name", Type: plugin.TypeString, Required: true},
			{Mode: plugin.RoleBoth, Name: "password", Type: plugin.TypePassword},
		},
		Actions: []plugin.Action{plugin.ActionList, plugin.ActionTest},
		Naming:  true,
	}, nil
}

// OpenTarget implements plugin.Opener.
func (m *Memory) OpenTarget(_ context.Context, e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
	p, err := m.place(e)
	if err != nil {
		return nil, err
	}
	return &memoryTarget{p}, nil
}

// OpenStore implements plugin.Opener.
func (m *Memory) OpenStore(_ context.Context, e shield.Endpoint, _ plugin.Log) (plugin.Store, error) {
	p, err := m.place(e)
	if err != nil {
		return nil, err
	}
	return &memoryStore{p}, nil
}

func (m *Memory) place(e shield.Endpoint) (place, error) {
	var c struct{ Name, Password string }
	if err := e.Decode(&c); err != nil {
		return place{}, err
	}
	if c.Name == "" {
		return place{}, shield.FieldErrorf("endpoint.name", "is missing: a name is wanted")
	}
	return place{m, c.Name}, nil
}

// A place is where an endpoint points to.
type place struct {
	m    *Memory
	name string
}

// Test implements plugin.Tester.
func (p place) Test(ctx context.Context) error { return context.Cause(ctx) }

type memoryTarget struct{ place }

var _ interface {
	plugin.Target
	plugin.Tester
} = (*memoryTarget)(nil)

func (t *memoryTarget) Backup(ctx context.Context, w io.Writer) error {
	content := t.m.target(t.name)
	if content == nil {
		return shield.Errorf(shield.TargetFailed, "memory.Backup", "there is no target called %q", t.name)
	}
	_, err := copyContext(ctx, w, content())
	return err
}

func (t *memoryTarget) Restore(ctx context.Context, r io.Reader) error {
	var b bytes.Buffer
	if _, err := copyContext(ctx, &b, r); err != nil {
		return err
	}
	t.m.SetTarget(t.name, b.Bytes())
	return nil
}

type memoryStore struct{ place }

var _ interface {
	plugin.Store
	plugin.Lister
	plugin.Tester
} = (*memoryStore)(nil)

// Put replaces what was stored under key. Without a key it makes one.
func (s *memoryStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	var b bytes.Buffer
	if _, err := copyContext(ctx, &b, r); err != nil {
		return plugin.Stored{}, err
	}
	if key == "" {
		key = s.m.newKey()
	}
	s.m.SetBlob(s.name, key, b.Bytes())
	return plugin.Stored{Key: key, Size: int64(b.Len()), Digest: digest(b.Bytes())}, nil
}

func (m *Memory) newKey() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	return fmt.Sprintf("blob-%d", m.puts)
}

func digest(b []byte) string {
	sum := blake3.Sum256(b)
	return "blake3:" + hex.EncodeToString(sum[:])
}

func (s *memoryStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b, ok := s.m.Blob(s.name, key)
	if !ok {
		return nil, shield.Errorf(shield.NotFound, "memory.Get", "there is no blob %q", key)
	}
	return io.NopCloser(&contextReader{ctx, bytes.NewReader(b)}), nil
}

// A contextReader ends with the cause of a context that is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

func (s *memoryStore) Delete(ctx context.Context, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.m.RemoveBlob(s.name, key)
	return nil
}

func (s *memoryStore) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	for _, o := range s.objects(prefix) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStore) objects(prefix string) []plugin.Object {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	var list []plugin.Object
	for key, b := range s.m.stores[s.name] {
		if strings.HasPrefix(key, prefix) {
			list = append(list, plugin.Object{Key: key, Size: int64(len(b.content)), ModifiedAt: b.at})
		}
	}
	return list
}
