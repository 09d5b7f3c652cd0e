package daemon_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A point is a moment of a task's life at which the daemon of a test kills
// itself, as kill -9 would. Those within the daemon are found by what it logs
// there, the others by the calls of its plugin.
type point string

// at kills the process if this is the point.
func (p point) at(here string) {
	if string(p) == here {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// A mortalLog is a handler that dies of what is logged.
type mortalLog struct {
	slog.Handler
	point point
}

func (m mortalLog) Handle(ctx context.Context, r slog.Record) error {
	op := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "op" {
			op = a.Value.String()
		}
		return true
	})
	m.point.at(op + ": " + r.Message)
	return m.Handler.Handle(ctx, r)
}

// A mortal is a plugin in whose calls the daemon dies.
type mortal struct {
	plugin.Opener
	point point
}

func (m mortal) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t, err := m.Opener.OpenTarget(ctx, e, log)
	if err != nil {
		return nil, err
	}
	return mortalTarget{t, m.point}, nil
}

func (m mortal) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	s, err := m.Opener.OpenStore(ctx, e, log)
	if err != nil {
		return nil, err
	}
	return mortalStore{s, m.point}, nil
}

type mortalTarget struct {
	plugin.Target
	point point
}

func (t mortalTarget) Backup(ctx context.Context, w io.Writer) error {
	t.point.at("before the first byte")
	err := t.Target.Backup(ctx, w)
	t.point.at("the dump has ended")
	return err
}

func (t mortalTarget) Restore(ctx context.Context, r io.Reader) error {
	t.point.at("before the restore's first byte")
	err := t.Target.Restore(ctx, &mortalReader{r: r, point: t.point, half: "amid the restore"})
	t.point.at("all is restored")
	return err
}

type mortalStore struct {
	plugin.Store
	point point
}

// List is plugin.Lister.
func (s mortalStore) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	return s.Store.(plugin.Lister).List(ctx, prefix, yield)
}

func kindOf(key string) string {
	if strings.HasSuffix(key, shield.ManifestSuffix) {
		return "manifest"
	}
	return "blob"
}

func (s mortalStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	stored, err := s.Store.Put(ctx, key, &mortalReader{r: r, point: s.point, half: "amid the " + kindOf(key)})
	s.point.at("the " + kindOf(key) + " is stored")
	return stored, err
}

func (s mortalStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	b, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return mortalBlob{b, s.point, "the " + kindOf(key) + " is read back"}, nil
}

func (s mortalStore) Delete(ctx context.Context, key string) error {
	s.point.at("before the " + kindOf(key) + " is deleted")
	err := s.Store.Delete(ctx, key)
	s.point.at("the " + kindOf(key) + " is deleted")
	return err
}

// A mortalReader dies when some of its bytes were read and given on: a part of
// the blob, or all of a manifest but its end.
type mortalReader struct {
	r     io.Reader
	point point
	half  string
	n     int
}

func (m *mortalReader) Read(b []byte) (int, error) {
	if m.n > 300_000 || m.n > 0 && strings.HasSuffix(m.half, "manifest") {
		m.point.at(m.half)
	}
	n, err := m.r.Read(b[:min(len(b), 32<<10)])
	m.n += n
	return n, err
}

type mortalBlob struct {
	io.ReadCloser
	point point
	end   string
}

func (m mortalBlob) Close() error {
	err := m.ReadCloser.Close()
	m.point.at(m.end)
	return err
}
