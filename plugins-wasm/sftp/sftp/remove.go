package sftp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Delete removes a blob, what unfinished Puts of it have left, and the folders
// that are empty then. What was done already is no error, so it is tried again
// if the connection breaks.
func (s *store) Delete(ctx context.Context, key string) error {
	const op = "sftp.purge"
	if err := checkKey(key); err != nil {
		return err
	}
	return s.again(ctx, op, "remove "+s.full(key), func(c *client) error {
		name := s.full(key)
		if err := c.remove(name); err != nil {
			return err
		}
		if err := c.removePartials(name); err != nil {
			return err
		}
		c.prune(s.folders(key))
		return nil
	})
}

// again does what may be done twice, and does it again over a new connection
// if the first is lost.
func (s *store) again(ctx context.Context, op, doing string, f func(*client) error) error {
	for try := 0; ; try++ {
		c, err := s.open(ctx, op, s.retries)
		if err != nil {
			return err
		}
		err = f(c)
		c.close()
		if err == nil {
			return nil
		}
		if try >= s.retries || !isLost(err) || ctx.Err() != nil {
			return s.failed(op, doing, err)
		}
		s.log(fmt.Sprintf("%s: %s: %v: trying again", s.place, doing, err))
		if err := pause(ctx, try); err != nil {
			return s.failed(op, doing, err)
		}
	}
}

// List calls yield with the blobs, sorted within each folder.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	return s.ListAll(ctx, prefix, func(o plugin.Object) error {
		if strings.HasPrefix(o.Key, rest.TrialPrefix) {
			return nil
		}
		return yield(o)
	})
}

// ListAll lists what Test leaves, too.
func (s *store) ListAll(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	const op = "sftp.list"
	c, err := s.open(ctx, op, s.retries)
	if err != nil {
		return err
	}
	defer c.close()
	l := &lister{client: c, ctx: ctx, prefix: prefix, yield: yield}
	err = l.folder(path.Join(s.base, s.prefix), "")
	if err == nil || l.yieldErr != nil {
		return l.yieldErr
	}
	return s.failed(op, "list "+l.at, err)
}

// A lister walks folders.
type lister struct {
	*client
	ctx      context.Context
	prefix   string
	yield    func(plugin.Object) error
	yieldErr error
	at       string // the folder that is being listed
}

// folder lists a folder whose blobs' keys begin with below.
func (l *lister) folder(name, below string) error {
	l.at = name
	entries, err := l.list(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile, or not made yet
	}
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if l.ctx.Err() != nil {
			return context.Cause(l.ctx)
		}
		if err := l.entry(path.Join(name, e.Name()), below+e.Name(), e); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) entry(name, key string, info fs.FileInfo) error {
	if info.IsDir() {
		below := key + "/"
		if strings.HasPrefix(below, l.prefix) || strings.HasPrefix(l.prefix, below) {
			return l.folder(name, below)
		}
		return nil
	}
	if !info.Mode().IsRegular() || !strings.HasPrefix(key, l.prefix) || checkKey(key) != nil {
		return nil
	}
	l.yieldErr = l.yield(plugin.Object{Key: key, Size: info.Size(), ModifiedAt: info.ModTime().UTC()})
	return l.yieldErr
}
