package fs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// A disk is the folder of a store. Its names are paths below, with slashes,
// and lead out of it neither by .. nor by symlinks.
type disk interface {
	// Stat follows a symlink, Lstat does not.
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	Mkdir(name string, perm fs.FileMode) error
	Chmod(name string, perm fs.FileMode) error
	Remove(name string) error
	Link(name, as string) error
	Rename(name, as string) error
	// create makes a file that did not exist, with mode 0600.
	create(name string) (blobFile, error)
	open(name string) (blobFile, error)
	list(folder string) ([]fs.DirEntry, error)
	// sync waits until the names in a folder are on the disk.
	sync(folder string) error
	// room returns how many bytes are free, and how many there are.
	room() (free, all int64, err error)
	Close() error
}

// A blobFile is an open file of a disk.
type blobFile interface {
	io.ReadWriteCloser
	Stat() (fs.FileInfo, error)
	Sync() error
	Chmod(perm fs.FileMode) error
	// lock takes the file for us alone, without waiting. The lock ends with
	// the file, also when the process is killed.
	lock() error
	// writeback and readAhead are hints.
	writeback(off, size int64)
	readAhead()
}

// An absorber is a blobFile that takes all of a stream better than in pieces.
type absorber interface {
	// absorb writes up to n bytes of r. Its error is io.EOF if r has fewer.
	absorb(r *stream.Reader, n int64) (int64, error)
}

// rootDisk is a disk on os.Root.
type rootDisk struct{ *os.Root }

var _ disk = rootDisk{}

// openRoot looks first: os.OpenRoot would hang at a FIFO.
func openRoot(name string) (*os.Root, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errNotDir
	}
	return os.OpenRoot(name)
}

func openRootDisk(base string) (disk, error) {
	root, err := openRoot(base)
	if err != nil {
		return nil, err
	}
	return rootDisk{root}, nil
}

func (d rootDisk) create(name string) (blobFile, error) {
	return rootFileOf(d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600))
}

func (d rootDisk) open(name string) (blobFile, error) { return rootFileOf(d.Open(name)) }

func (d rootDisk) list(folder string) ([]fs.DirEntry, error) {
	f, err := d.Open(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	for i, e := range list {
		list[i] = rootEntry{e, d, path.Join(folder, e.Name())}
	}
	return list, err
}

// A rootEntry looks below the root for what there is to know.
type rootEntry struct {
	fs.DirEntry
	d    rootDisk
	path string
}

func (e rootEntry) Info() (fs.FileInfo, error) { return e.d.Lstat(e.path) }

func (d rootDisk) sync(folder string) error {
	f, err := d.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !isLacking(err) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// A rootFile is an open file of a rootDisk.
type rootFile struct{ *os.File }

func rootFileOf(f *os.File, err error) (blobFile, error) {
	if err != nil {
		return nil, err
	}
	return rootFile{f}, nil
}
