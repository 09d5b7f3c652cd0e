//go:build !linux || portable

package fs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// A portableDir is an open folder. It also knows the base and its path from
// there, since os.Root links names within one root only, and cannot go up.
type portableDir struct {
	root *os.Root
	base *os.Root
	path string
	refs atomic.Int32
}

// A portableFile is an open regular file.
type portableFile struct {
	*os.File
	d    *portableDir
	name string
}

func newPortable(root, base *os.Root, at string) *portableDir {
	d := &portableDir{root: root, base: base, path: at}
	d.refs.Store(1)
	return d
}

func openPortable(path string) (*portableDir, error) {
	root, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	return newPortable(root, root, "."), nil
}

// open refuses a symlink. One that takes the folder's place meanwhile leads
// to another folder of the same tree at worst: os.Root sees to that.
func (d *portableDir) open(name string) (*portableDir, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return newPortable(root, d.base, path.Join(d.path, name)), nil
}

func (d *portableDir) parent() (*portableDir, error) {
	up := path.Dir(d.path)
	root, err := d.base.OpenRoot(up)
	if err != nil {
		return nil, err
	}
	return newPortable(root, d.base, up), nil
}

func (d *portableDir) retain() *portableDir {
	d.refs.Add(1)
	return d
}

func (d *portableDir) release() {
	if d.refs.Add(-1) == 0 {
		d.root.Close()
	}
}

func (d *portableDir) stat() (stat, error) { return toStat(d.root.Stat(".")) }

func (d *portableDir) lstat(name string) (stat, error) { return toStat(d.root.Lstat(name)) }

func toStat(info fs.FileInfo, err error) (stat, error) {
	if err != nil {
		return stat{}, err
	}
	m := info.Mode()
	st := stat{kind: kindOf(m.Type()), mode: uint32(m.Perm()), size: info.Size(), blocks: -1}
	for bit, flag := range modeFlags {
		if m&flag != 0 {
			st.mode |= bit
		}
	}
	st.mtime = stamp{info.ModTime().Unix(), int64(info.ModTime().Nanosecond())}
	describe(&st, info)
	return st, nil
}

// modeFlags is never written to.
var modeFlags = map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky}

func kindOf(m fs.FileMode) byte {
	switch {
	case m == 0:
		return kindFile
	case m&fs.ModeDir != 0:
		return kindFolder
	case m&fs.ModeSymlink != 0:
		return kindSymlink
	case m&fs.ModeNamedPipe != 0:
		return kindFifo
	case m&fs.ModeSocket != 0:
		return kindSocket
	case m&fs.ModeCharDevice != 0:
		return kindChar
	case m&fs.ModeDevice != 0:
		return kindBlock
	}
	return kindUnknown
}

func (d *portableDir) entries([]byte) ([]dirent, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	out := make([]dirent, len(list))
	for i, e := range list {
		out[i] = dirent{e.Name(), kindOf(e.Type())}
	}
	return out, err
}

// missing says what is not kept.
func (d *portableDir) missing() string {
	if runtime.GOOS == "wasip1" {
		return "this host does not show modes, owners, device numbers, holes and extended attributes: they are not kept"
	}
	return "this build does not see device numbers, holes and extended attributes: they are not kept"
}

func (d *portableDir) special() string { return "" }

func (d *portableDir) owner(uid int) string { return userName(uid) }
func (d *portableDir) group(gid int) string { return groupName(gid) }

func (d *portableDir) readlink(name string) (string, error) { return d.root.Readlink(name) }

// openRead looks at the file first: opening a FIFO would hang.
func (d *portableDir) openRead(name string) (portableFile, error) {
	st, err := d.lstat(name)
	if err == nil && st.kind != kindFile {
		err = syscall.ELOOP
	}
	if err != nil {
		return portableFile{}, err
	}
	f, err := d.root.Open(name)
	return portableFile{f, d, name}, err
}

func (f portableFile) stat() (stat, error) { return toStat(f.Stat()) }

func (f portableFile) close() error { return f.Close() }

// readAt returns 0 and nil at the end of the file.
func (f portableFile) readAt(p []byte, off int64) (int, error) {
	n, err := f.ReadAt(p, off)
	if n > 0 || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f portableFile) sequential() {}

func (f portableFile) extents(int64, int) ([]extent, bool) { return nil, false }

func (d *portableDir) create(name string) (portableFile, error) {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return portableFile{f, d, name}, err
}

func (f portableFile) writeAt(p []byte, off int64) error {
	_, err := f.WriteAt(p, off)
	return err
}

func (f portableFile) truncate(size int64) error { return f.Truncate(size) }

func (d *portableDir) mkdir(name string, mode uint32) error {
	return d.root.Mkdir(name, fs.FileMode(mode))
}

func (d *portableDir) symlink(target, name string) error { return d.root.Symlink(target, name) }

// link gives the file name in d a second name.
func (d *portableDir) link(name string, to *portableDir, as string) error {
	return d.base.Link(path.Join(d.path, name), path.Join(to.path, as))
}

func (d *portableDir) mknod(string, byte, uint32, uint32) error { return errUnsupported }

func (d *portableDir) rename(from, to string) error { return d.root.Rename(from, to) }

func (d *portableDir) remove(name string) error { return d.root.Remove(name) }

func (d *portableDir) syncAll() error { return nil }

func (d *portableDir) named(name string) portableName { return portableName{d, name} }

// A portableName is a file by its name in a folder.
type portableName struct {
	d    *portableDir
	name string
}

func (n portableName) chown(uid, gid int) error { return n.d.root.Lchown(n.name, uid, gid) }

func (n portableName) chmod(mode uint32) error {
	m := fs.FileMode(mode & 0o777)
	for bit, flag := range modeFlags {
		if mode&bit != 0 {
			m |= flag
		}
	}
	return n.d.root.Chmod(n.name, m)
}

// setTime does not touch symlinks: os.Root would follow them.
func (n portableName) setTime(t stamp) error {
	info, err := n.d.root.Lstat(n.name)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	return n.d.root.Chtimes(n.name, time.Time{}, time.Unix(t.sec, t.nsec))
}

func (n portableName) setAttr(attr) error     { return errUnsupported }
func (n portableName) attrs() ([]attr, error) { return nil, nil }

func (d *portableDir) chown(uid, gid int) error { return d.named(".").chown(uid, gid) }
func (f portableFile) chown(uid, gid int) error { return f.d.named(f.name).chown(uid, gid) }
func (d *portableDir) chmod(mode uint32) error  { return d.named(".").chmod(mode) }
func (f portableFile) chmod(mode uint32) error  { return f.d.named(f.name).chmod(mode) }
func (d *portableDir) setTime(t stamp) error    { return d.named(".").setTime(t) }
func (f portableFile) setTime(t stamp) error    { return f.d.named(f.name).setTime(t) }
func (d *portableDir) attrs() ([]attr, error)   { return nil, nil }
func (f portableFile) attrs() ([]attr, error)   { return nil, nil }
func (d *portableDir) setAttr(attr) error       { return errUnsupported }
func (f portableFile) setAttr(attr) error       { return errUnsupported }
