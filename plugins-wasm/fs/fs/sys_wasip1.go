package fs

import (
	"sync/atomic"
)

// In the sandbox files are reached through the host's file service, which
// keeps as much as the native build. Hosts without one have WASI, which the
// portable source uses. Which it is shows when the base directory is opened.

// A dir is an open folder.
type dir struct {
	openDir
	refs atomic.Int32
}

// A file is an open regular file.
type file struct{ openFile }

// A fileName is a file that cannot be opened, by its name in a folder.
type fileName struct{ dressable }

// openDir is what both kinds of folders do.
type openDir interface {
	dressable
	stat() (stat, error)
	lstat(name string) (stat, error)
	entries(buf []byte) ([]dirent, error)
	special() string
	missing() string
	owner(uid int) string
	group(gid int) string
	readlink(name string) (string, error)
	mkdir(name string, mode uint32) error
	symlink(target, name string) error
	mknod(name string, kind byte, major, minor uint32) error
	rename(from, to string) error
	remove(name string) error
	syncAll() error

	down(name string) (openDir, error)
	up() (openDir, error)
	reading(name string) (openFile, error)
	making(name string) (openFile, error)
	entry(name string) dressable
	linkTo(name string, to openDir, as string) error
	close()
}

// openFile is what both kinds of files do.
type openFile interface {
	dressable
	stat() (stat, error)
	close() error
	readAt(p []byte, off int64) (int, error)
	writeAt(p []byte, off int64) error
	truncate(size int64) error
	sequential()
	extents(size int64, limit int) ([]extent, bool)
}

// dressable is what has attributes and takes them.
type dressable interface {
	attributed
	settable
}

func newDir(d openDir, err error) (*dir, error) {
	if err != nil {
		return nil, err
	}
	out := &dir{openDir: d}
	out.refs.Store(1)
	return out, nil
}

func (d *dir) open(name string) (*dir, error) { return newDir(d.down(name)) }

func (d *dir) parent() (*dir, error) { return newDir(d.up()) }

func (d *dir) retain() *dir {
	d.refs.Add(1)
	return d
}

func (d *dir) release() {
	if d.refs.Add(-1) == 0 {
		d.close()
	}
}

func (d *dir) openRead(name string) (file, error) {
	f, err := d.reading(name)
	return file{f}, err
}

func (d *dir) create(name string) (file, error) {
	f, err := d.making(name)
	return file{f}, err
}

func (d *dir) named(name string) fileName { return fileName{d.entry(name)} }

func (d *dir) link(name string, to *dir, as string) error { return d.linkTo(name, to.openDir, as) }

// A wasiDir is a folder of WASI.
type wasiDir struct{ *portableDir }

func wrap(d *portableDir, err error) (openDir, error) {
	if err != nil {
		return nil, err
	}
	return wasiDir{d}, nil
}

func (d wasiDir) down(name string) (openDir, error) { return wrap(d.portableDir.open(name)) }
func (d wasiDir) up() (openDir, error)              { return wrap(d.portableDir.parent()) }
func (d wasiDir) entry(name string) dressable       { return d.portableDir.named(name) }
func (d wasiDir) close()                            { d.portableDir.release() }

func (d wasiDir) reading(name string) (openFile, error) { return d.portableDir.openRead(name) }
func (d wasiDir) making(name string) (openFile, error)  { return d.portableDir.create(name) }

func (d wasiDir) linkTo(name string, to openDir, as string) error {
	return d.portableDir.link(name, to.(wasiDir).portableDir, as)
}
