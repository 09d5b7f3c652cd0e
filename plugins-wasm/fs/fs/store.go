package fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// store is a folder of blobs, a file each. Their paths are the keys. No key and
// no symlink leads out of it: that is for the disk to see to.
type store struct {
	config
	mode fs.FileMode // of files
	log  plugin.Log
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

func openStore(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(plugin.RoleStore, e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	mode, err := parseMode(c.Mode)
	return &store{config: c, mode: mode, log: log}, err
}

func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 9)
	if err != nil || n&0o600 != 0o600 {
		return 0, shield.FieldErrorf("mode", "%.20q is not one: octal permissions from 0600 to 0777, by which the owner can read and write, are wanted", s)
	}
	return fs.FileMode(n), nil
}

// folderMode lets those search folders who can read files.
func (s *store) folderMode() fs.FileMode { return s.mode | s.mode&0o444>>2 }

// Validate has nothing to add to what openStore checks.
func (s *store) Validate(context.Context) error { return nil }

// root opens the base directory. It is not made if it is missing: that would
// fill the disk below a mount that failed.
func (s *store) root(op string) (disk, error) {
	root, err := openDisk(s.BaseDir)
	if err != nil {
		return nil, baseError(shield.StoreFailed, op, s.BaseDir, err)
	}
	return root, nil
}

func (s *store) failed(op, key string, err error) error {
	return shield.Errorf(shield.StoreFailed, op, "%s: %w", path.Join(s.BaseDir, key), cause(err))
}

// Get opens a blob.
func (s *store) Get(_ context.Context, key string) (r io.ReadCloser, err error) {
	const op = "fs.get"
	if err := checkKey(key); err != nil {
		return nil, err
	}
	root, err := s.root(op)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = root.Close()
		}
	}()
	// A FIFO in a blob's place would hang the open.
	name := s.place(key)
	info, err := root.Stat(name)
	if name != key && isAbsent(err) { // from before there were shards
		name = key
		info, err = root.Stat(name)
	}
	switch {
	case err != nil && isAbsent(err) || err == nil && info.IsDir():
		return nil, shield.Errorf(shield.NotFound, op, "key %q is not in %s", key, s.BaseDir)
	case err == nil && !info.Mode().IsRegular():
		return nil, shield.Errorf(shield.StoreFailed, op, "%s is not a regular file", path.Join(s.BaseDir, key))
	case err == nil:
		f, err := root.open(name)
		if err == nil {
			return blobOf(root, f, info.Size()), nil
		}
		return nil, s.failed(op, key, err)
	}
	return nil, s.failed(op, key, err)
}

// Delete removes a blob, what an unfinished Put of it left, and the folders
// that are empty then.
func (s *store) Delete(_ context.Context, key string) error {
	const op = "fs.delete"
	if err := checkKey(key); err != nil {
		return err
	}
	root, err := s.root(op)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Compact([]string{key, s.place(key)}) {
		if err := s.remove(root, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) remove(root disk, blob string) error {
	const op = "fs.delete"
	for _, name := range []string{blob, partial(blob)} {
		if err := removeFile(root, name); err != nil && !isAbsent(err) {
			return s.failed(op, name, err)
		}
	}
	if err := root.sync(path.Dir(blob)); err != nil && !isAbsent(err) {
		return s.failed(op, path.Dir(blob), err)
	}
	s.prune(root, parents(blob))
	return nil
}

// removeFile leaves folders alone: they are no blobs.
func removeFile(root disk, name string) error {
	info, err := root.Lstat(name)
	if err != nil || info.IsDir() {
		return err
	}
	return root.Remove(name)
}

func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || isNotDir(err) }

// prune removes folders that are empty, the innermost first. Those of shards
// stay: they may be mounts.
func (s *store) prune(root disk, folders []string) {
	if s.Shard && len(folders) > 0 && isShard(folders[0]) {
		folders = folders[1:]
	}
	for _, name := range slices.Backward(folders) {
		info, err := root.Lstat(name)
		if err != nil || !info.IsDir() || root.Remove(name) != nil {
			return
		}
	}
}

// List calls yield with the blobs, sorted within each folder.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	const op = "fs.list"
	root, err := s.root(op)
	if err != nil {
		return err
	}
	defer root.Close()
	return s.list(ctx, root, ".", prefix, yield)
}

func (s *store) list(ctx context.Context, root disk, folder, prefix string, yield func(plugin.Object) error) error {
	const op = "fs.list"
	entries, err := root.list(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return s.failed(op, folder, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.listEntry(ctx, root, path.Join(folder, e.Name()), prefix, e, yield); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) listEntry(ctx context.Context, root disk, name, prefix string, e fs.DirEntry, yield func(plugin.Object) error) error {
	if e.IsDir() {
		below := name + "/"
		if strings.HasPrefix(below, prefix) || strings.HasPrefix(prefix, below) {
			return s.list(ctx, root, name, prefix, yield)
		}
		return nil
	}
	if !e.Type().IsRegular() || !strings.HasPrefix(name, prefix) || keyProblem(name) != "" {
		return nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.failed("fs.list", name, err)
	}
	return yield(plugin.Object{Key: name, Size: info.Size(), ModifiedAt: info.ModTime().UTC()})
}

// Test checks that the base directory is a folder in which files can be made,
// and logs how much room it has.
func (s *store) Test(context.Context) error {
	const op = "fs.test"
	root, err := s.root(op)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Stat("."); err != nil {
		return baseError(shield.StoreFailed, op, s.BaseDir, err)
	}
	name := partialPrefix + tempName()[1:] + partialSuffix
	f, err := root.create(name)
	if err != nil {
		return shield.Errorf(shield.StoreFailed, op, "base_dir: %s is not writable: %w", s.BaseDir, cause(err))
	}
	f.Close()
	if err := root.Remove(name); err != nil {
		return s.failed(op, name, err)
	}
	return s.testRoom(root)
}

// enough returns an error if less is free than is to stay free.
func (s *store) enough(op string, root disk) error {
	if s.MinFree == 0 {
		return nil
	}
	free, all, err := root.room()
	switch {
	case err != nil:
		return shield.FieldErrorf("min_free", "how much is free cannot be told here: %v", cause(err))
	case free < s.MinFree:
		return shield.Errorf(shield.StoreFailed, op, "base_dir: %s has %s of %s free: min_free is %s", s.BaseDir, size(free), size(all), size(s.MinFree))
	}
	return nil
}

func (s *store) testRoom(root disk) error {
	if err := s.enough("fs.test", root); err != nil {
		return err
	}
	free, all, err := root.room()
	if err != nil {
		return nil // not every system tells
	}
	if free == 0 {
		return shield.Errorf(shield.StoreFailed, "fs.test", "base_dir: %s is full: none of %s is free", s.BaseDir, size(all))
	}
	s.log(size(free) + " of " + size(all) + " free in " + s.BaseDir)
	return nil
}
