//go:build !portable

package wasmhost

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A fileHandle is an open regular file. It reads and writes at one position,
// which seek moves.
type fileHandle struct {
	f    *os.File
	m    *mount
	off  int64
	buf  []byte
	read []byte // of buf, from the position on
	// eager makes the disk begin early with what is written; begun is how
	// far it is.
	eager bool
	begun int64
}

var _ handle = (*fileHandle)(nil)

const (
	fileBuffer = 256 << 10
	eagerSize  = 16 << 20
)

func (h *fileHandle) peek() ([]byte, error) {
	if len(h.read) > 0 {
		return h.read, nil
	}
	if h.buf == nil {
		h.buf = make([]byte, fileBuffer)
	}
	n, err := h.f.ReadAt(h.buf, h.off)
	h.read = h.buf[:n]
	if n > 0 {
		return h.read, nil
	}
	if err == nil {
		err = io.EOF
	}
	return nil, err
}

func (h *fileHandle) advance(n int) {
	h.off += int64(n)
	h.read = h.read[n:]
}

func (h *fileHandle) moveTo(off int64) { h.off, h.read = off, nil }

// readInto reads into the guest's own memory: peek would copy once more.
func (h *fileHandle) readInto(p []byte) (int, error) {
	n, err := h.f.ReadAt(p, h.off)
	h.moveTo(h.off + int64(n))
	if n > 0 {
		err = nil
	}
	return n, err
}

func (h *fileHandle) write(p []byte) (int, error) {
	if !h.m.writable {
		return 0, errReadOnly
	}
	n, err := h.f.WriteAt(p, h.off)
	h.moveTo(h.off + int64(n))
	if h.eager && h.off-h.begun >= eagerSize {
		_ = unix.SyncFileRange(int(h.f.Fd()), h.begun, h.off-h.begun, unix.SYNC_FILE_RANGE_WRITE) // a hint
		h.begun = h.off
	}
	return n, err
}

func (h *fileHandle) shut() error { return nil }

func (h *fileHandle) stat() (map[string]any, error) {
	fi, err := h.f.Stat()
	if err != nil {
		return nil, err
	}
	return map[string]any{"size": fi.Size()}, nil
}

func (h *fileHandle) close() { _ = h.f.Close() }

// describe tells all of a file: the record that the specification calls an
// entry.
func (at subject) describe(a *answer, flags byte) error {
	_, err := at.tell(a, flags)
	return err
}

// tell is describe, and returns the part that the host wants to know.
func (at subject) tell(a *answer, flags byte) (st unix.Stat_t, err error) {
	if st, err = at.lstat(); err != nil {
		return st, err
	}
	a.u32(st.Mode)
	a.u32(st.Uid)
	a.u32(st.Gid)
	a.u64(uint64(st.Nlink))
	a.u64(st.Dev)
	a.u64(st.Ino)
	a.u32(unix.Major(st.Rdev))
	a.u32(unix.Minor(st.Rdev))
	a.u64(uint64(st.Size))
	a.u64(uint64(st.Blocks))
	for _, t := range []unix.Timespec{st.Mtim, st.Ctim} {
		a.u64(uint64(t.Sec))
		a.u32(uint32(t.Nsec))
	}
	a.text(at.name)
	link := ""
	if flags&withLink != 0 && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		if link, err = at.readlink(); err != nil {
			return st, err
		}
	}
	a.text(link)
	return st, at.describeAttrs(a, flags)
}

func (at subject) lstat() (st unix.Stat_t, err error) {
	if at.name == "" {
		return st, unix.Fstat(at.fd, &st)
	}
	return st, unix.Fstatat(at.fd, at.name, &st, unix.AT_SYMLINK_NOFOLLOW)
}

func (at subject) readlink() (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(at.fd, at.name, buf)
	return string(buf[:max(n, 0)]), err
}

// describeAttrs ends an entry with its extended attributes. A file system
// without them has none.
func (at subject) describeAttrs(a *answer, flags byte) error {
	count := len(a.b)
	a.u32(0)
	if flags&withAttrs == 0 {
		return nil
	}
	list, get := at.attrs()
	keys, err := grown(list)
	if err == unix.EOPNOTSUPP {
		return nil
	}
	if err != nil {
		return err
	}
	n := uint32(0)
	for key := range strings.SplitSeq(strings.TrimSuffix(string(keys), "\x00"), "\x00") {
		if key == "" {
			continue
		}
		value, err := grown(func(b []byte) (int, error) { return get(key, b) })
		if err == unix.ENODATA {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		a.text(key)
		a.text(string(value))
		n++
	}
	le.PutUint32(a.b[count:], n)
	return nil
}

// attrs returns how the attributes are listed, and how one is read.
func (at subject) attrs() (list func([]byte) (int, error), get func(string, []byte) (int, error)) {
	if at.name == "" {
		return func(b []byte) (int, error) { return unix.Flistxattr(at.fd, b) },
			func(key string, b []byte) (int, error) { return unix.Fgetxattr(at.fd, key, b) }
	}
	p := at.path()
	return func(b []byte) (int, error) { return unix.Llistxattr(p, b) },
		func(key string, b []byte) (int, error) { return unix.Lgetxattr(p, key, b) }
}

// path names an entry of a folder for the calls that know neither folders nor
// what cannot be opened. Its last name is not followed by those calls.
func (at subject) path() string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", at.fd, at.name)
}

// grown calls f with a buffer that is large enough.
func grown(f func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := f(nil)
		if n <= 0 || err != nil {
			return nil, err
		}
		buf := make([]byte, n)
		n, err = f(buf)
		if err != unix.ERANGE {
			return buf[:max(n, 0)], err
		}
	}
}

func (at subject) chown(uid, gid int) error {
	if at.name == "" {
		return unix.Fchown(at.fd, uid, gid)
	}
	return unix.Fchownat(at.fd, at.name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

// chmod goes by a descriptor where the kernel cannot be told not to follow a
// symlink.
func (at subject) chmod(mode uint32) error {
	if at.name == "" {
		return unix.Fchmod(at.fd, mode)
	}
	err := unix.Fchmodat(at.fd, at.name, mode, unix.AT_SYMLINK_NOFOLLOW)
	if err != unix.EOPNOTSUPP && err != unix.ENOSYS && err != unix.EINVAL {
		return err
	}
	fd, err := openat(at.fd, at.name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.EOPNOTSUPP
	}
	return unix.Fchmodat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), mode, 0)
}

func (at subject) setTime(sec int64, nsec uint32) error {
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: sec, Nsec: int64(nsec)}}
	if at.name != "" {
		return unix.UtimesNanoAt(at.fd, at.name, ts, unix.AT_SYMLINK_NOFOLLOW)
	}
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(at.fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

func (at subject) setAttr(key, value string) error {
	if at.name == "" {
		return unix.Fsetxattr(at.fd, key, []byte(value), 0)
	}
	return unix.Lsetxattr(at.path(), key, []byte(value), 0)
}
