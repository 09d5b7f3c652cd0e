package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Memory is a plugin called "memory" that keeps everything in memory. Its
// endpoint is {"name": "x"}, for a target and for a store: what is opened
// with the same name of the same Memory is the same place. It passes the
// suite and has every ability: its targets are tested, probed and inspected,
// its stores list and honour wanted keys. It is safe for concurrent use.
//
// A field "password" is accepted, secret, and means nothing. With "lock": true
// a store keeps the blobs that PutUntil gives it; without, it keeps none.
type Memory struct {
	mu      sync.Mutex
	targets map[string]content
	stores  map[string]map[string]stored
	wrote   map[string]bool // digests of the streams that Backup wrote
	puts    int
}

// A content is what a target holds.
type content struct {
	open func() io.Reader
	size int64
}

type stored struct {
	content []byte
	at      time.Time
	until   time.Time // kept until then
}

var _ plugin.Opener = (*Memory)(nil)

// NewMemory returns a Memory without targets and with empty stores.
func NewMemory() *Memory {
	return &Memory{targets: map[string]content{}, stores: map[string]map[string]stored{}, wrote: map[string]bool{}}
}

// SetTarget makes the target called name hold some bytes.
func (m *Memory) SetTarget(name string, b []byte) {
	b = bytes.Clone(b)
	m.setTarget(name, content{func() io.Reader { return bytes.NewReader(b) }, int64(len(b))})
}

// GenerateTarget makes the target called name hold what Stream(size, seed)
// gives, without keeping it in memory.
func (m *Memory) GenerateTarget(name string, size int64, seed uint64) {
	m.setTarget(name, content{func() io.Reader { return Stream(size, seed) }, size})
}

func (m *Memory) setTarget(name string, c content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.targets[name] = c
}

// Target returns what the target called name holds, as it was set or as the
// last Restore that ended well left it, and whether there is such a target.
func (m *Memory) Target(name string) ([]byte, bool) {
	c, ok := m.target(name)
	if !ok {
		return nil, false
	}
	b, err := io.ReadAll(c.open())
	return b, err == nil
}

func (m *Memory) target(name string) (content, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.targets[name]
	return c, ok
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
func (m *Memory) SetBlob(name, key string, b []byte) {
	_ = m.setBlob(name, key, stored{bytes.Clone(b), time.Now().UTC(), time.Time{}}, true)
}

// setBlob refuses to replace a blob that is kept, unless forced to.
func (m *Memory) setBlob(name, key string, b stored, force bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.locked(name, key, b.at); err != nil && !force {
		return err
	}
	if m.stores[name] == nil {
		m.stores[name] = map[string]stored{}
	}
	m.stores[name][key] = b
	return nil
}

// locked says until when a blob is kept, if it is.
func (m *Memory) locked(name, key string, now time.Time) error {
	until := m.stores[name][key].until
	if !until.After(now) {
		return nil
	}
	return &shield.Error{
		Code: shield.Locked, Op: "memory", Until: until,
		Message: fmt.Sprintf("%q is kept until %s", key, until.Format(time.RFC3339)),
	}
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
			{Mode: plugin.RoleStore, Name: "lock", Type: plugin.TypeBool},
		},
		Actions: []plugin.Action{plugin.ActionList, plugin.ActionTest, plugin.ActionProbe, plugin.ActionInspect},
		Naming:  true,
		Keeping: true,
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
	var c struct {
		Name, Password string
		Lock           bool
	}
	if err := e.Decode(&c); err != nil {
		return place{}, err
	}
	if c.Name == "" {
		return place{}, shield.FieldErrorf("endpoint.name", "is missing: a name is wanted")
	}
	return place{m, c.Name, c.Lock}, nil
}

// A place is where an endpoint points to.
type place struct {
	m    *Memory
	name string
	lock bool
}

// Test implements plugin.Tester.
func (p place) Test(ctx context.Context) error { return context.Cause(ctx) }
