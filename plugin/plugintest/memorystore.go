package plugintest

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type memoryStore struct{ place }

var _ interface {
	plugin.Store
	plugin.Keeper
	plugin.Lister
	plugin.Tester
} = (*memoryStore)(nil)

// Put replaces what was stored under key. Without a key it makes one.
func (s *memoryStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.PutUntil(ctx, key, r, time.Time{})
}

// PutUntil is Put, and keeps the blob if the endpoint says lock.
func (s *memoryStore) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	var b bytes.Buffer
	if _, err := copyContext(ctx, &b, r); err != nil {
		return plugin.Stored{}, err
	}
	if key == "" {
		key = s.m.newKey()
	}
	if !s.lock {
		until = time.Time{}
	}
	if err := s.m.setBlob(s.name, key, stored{b.Bytes(), time.Now().UTC(), until.UTC()}, false); err != nil {
		return plugin.Stored{}, err
	}
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
	s.m.mu.Lock()
	err := s.m.locked(s.name, key, time.Now())
	s.m.mu.Unlock()
	if err != nil {
		return err
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
