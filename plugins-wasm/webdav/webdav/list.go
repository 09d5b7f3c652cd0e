package webdav

import (
	"context"
	"strings"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// List calls yield with the files, sorted within each folder.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	return s.ListAll(ctx, prefix, func(o plugin.Object) error {
		if strings.HasPrefix(o.Key, rest.TrialPrefix) {
			return nil
		}
		return yield(o)
	})
}

// ListAll is List with the files by which the store is tried.
func (s *store) ListAll(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	const op = "webdav.list"
	l := &lister{session: s.session(), prefix: s.prefix + prefix, yield: yield}
	folder, _ := split(l.prefix)
	if strings.Contains("/"+folder, "//") {
		return nil // no key begins so
	}
	err := l.folder(ctx, folder)
	if l.stopped != nil {
		return l.stopped
	}
	return rest.WithOp(op, err)
}

// A lister is one List.
type lister struct {
	*session
	prefix  string // of names
	yield   func(plugin.Object) error
	stopped error // that yield has returned
}

func (l *lister) folder(ctx context.Context, folder string) error {
	return l.children(ctx, folder, func(name string, found resource) error {
		name = folder + name
		key, ok := strings.CutPrefix(name, l.store.prefix)
		if !ok || checkKey(key) != nil {
			return nil // also what lies ever deeper, by a link to a folder around it
		}
		if found.folder {
			if below := name + "/"; strings.HasPrefix(below, l.prefix) || strings.HasPrefix(l.prefix, below) {
				return l.folder(ctx, below)
			}
			return nil
		}
		if !strings.HasPrefix(name, l.prefix) {
			return nil
		}
		l.stopped = l.yield(plugin.Object{Key: key, Size: found.size, ModifiedAt: found.modified})
		return l.stopped
	})
}
