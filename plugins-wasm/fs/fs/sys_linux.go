//go:build !portable

package fs

import (
	"bytes"
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A dir is an open folder. Everything is done relative to one, a name at a
// time and without following symlinks: that is as safe as it is fast. os.Root
// gives the same safety, but costs several more system calls a file.
type dir struct {
	fd   int
	refs atomic.Int32
}

// A file is an open regular file. It is no os.File, which would register each
// descriptor with the poller.
type file struct{ fd int }

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func openat(fd int, name string, flags int, mode uint32) (int, error) {
	for {
		n, err := unix.Openat(fd, name, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func newDir(fd int, err error) (*dir, error) {
	if err != nil {
		return nil, err
	}
	d := &dir{fd: fd}
	d.refs.Store(1)
	return d, nil
}

// openBase follows symlinks: the operator chose the path.
func openBase(path string) (*dir, error) {
	return newDir(openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0))
}

func (d *dir) open(name string) (*dir, error) {
	return newDir(openat(d.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0))
}

func (d *dir) parent() (*dir, error) { return d.open("..") }

func (d *dir) retain() *dir {
	d.refs.Add(1)
	return d
}

func (d *dir) release() {
	if d.refs.Add(-1) == 0 {
		unix.Close(d.fd)
	}
}

func (d *dir) stat() (stat, error) { return fstat(d.fd) }

func (d *dir) lstat(name string) (stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return toStat(&st), err
}

func fstat(fd int) (stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(fd, &st) })
	return toStat(&st), err
}

func toStat(st *unix.Stat_t) stat {
	return stat{
		kind: kindOf(st.Mode), mode: st.Mode & 0o7777,
		uid: int(st.Uid), gid: int(st.Gid),
		size: st.Size, blocks: st.Blocks,
		mtime: stamp{int64(st.Mtim.Sec), int64(st.Mtim.Nsec)},
		id:    inode{uint64(st.Dev), st.Ino}, links: uint64(st.Nlink),
		major: unix.Major(uint64(st.Rdev)), minor: unix.Minor(uint64(st.Rdev)),
	}
}

func kindOf(mode uint32) byte {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return kindFile
	case unix.S_IFDIR:
		return kindFolder
	case unix.S_IFLNK:
		return kindSymlink
	case unix.S_IFCHR:
		return kindChar
	case unix.S_IFBLK:
		return kindBlock
	case unix.S_IFIFO:
		return kindFifo
	case unix.S_IFSOCK:
		return kindSocket
	}
	return kindUnknown
}

// entries returns the folder's entries, unsorted, without . and .., using buf
// to read them.
func (d *dir) entries(buf []byte) ([]dirent, error) {
	var out []dirent
	for {
		n, err := unix.Getdents(d.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return out, err
		}
		out = appendDirents(out, buf[:n])
	}
}

func appendDirents(out []dirent, b []byte) []dirent {
	const nameAt = unsafe.Offsetof(unix.Dirent{}.Name)
	for len(b) > 0 {
		size := binary.NativeEndian.Uint16(b[unsafe.Offsetof(unix.Dirent{}.Reclen):])
		name := b[nameAt:size]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if s := string(name); s != "." && s != ".." {
			// The kinds of getdents are those of stat, shifted.
			kind := kindOf(uint32(b[unsafe.Offsetof(unix.Dirent{}.Type)]) << 12)
			out = append(out, dirent{s, kind})
		}
		b = b[size:]
	}
	return out
}

// missing says what is not kept.
func (d *dir) missing() string { return "" }

func (d *dir) owner(uid int) string { return userName(uid) }
func (d *dir) group(gid int) string { return groupName(gid) }

// special names the kind of file system if it is one that the kernel makes up.
func (d *dir) special() string {
	var st unix.Statfs_t
	if unix.Fstatfs(d.fd, &st) != nil {
		return ""
	}
	return specials[uint32(st.Type)]
}

func (d *dir) readlink(name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// openRead opens a regular file. NONBLOCK keeps a FIFO that took its place
// from hanging us. NOATIME is for the owner alone.
func (d *dir) openRead(name string) (file, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := openat(d.fd, name, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		fd, err = openat(d.fd, name, flags, 0)
	}
	return file{fd}, err
}

func (f file) stat() (stat, error) { return fstat(f.fd) }

func (f file) close() error { return unix.Close(f.fd) }

func (f file) readAt(p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(f.fd, p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// sequential tells the system to read ahead more than it would.
func (f file) sequential() { _ = unix.Fadvise(f.fd, 0, 0, unix.FADV_SEQUENTIAL) }

// extents returns where a file of a size has data. From the limit on, the
// rest is taken for data. ok is false if the file has no holes that we can see.
func (f file) extents(size int64, limit int) (list []extent, ok bool) {
	for off := int64(0); off < size; {
		start, err := unix.Seek(f.fd, off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			break
		}
		if err != nil {
			return nil, false
		}
		if start >= size {
			break
		}
		end, err := unix.Seek(f.fd, start, unix.SEEK_HOLE)
		if err != nil {
			return nil, false
		}
		if len(list) == limit-1 || end > size {
			end = size
		}
		list = append(list, extent{start, end - start})
		off = end
	}
	return list, holed(list, size)
}
