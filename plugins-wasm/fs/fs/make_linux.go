//go:build !portable

package fs

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// create makes a file that did not exist.
func (d *dir) create(name string) (file, error) {
	fd, err := openat(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	return file{fd}, err
}

func (f file) writeAt(p []byte, off int64) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(f.fd, p, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

func (f file) truncate(size int64) error {
	return retry(func() error { return unix.Ftruncate(f.fd, size) })
}

func (d *dir) mkdir(name string, mode uint32) error { return unix.Mkdirat(d.fd, name, mode) }

func (d *dir) symlink(target, name string) error { return unix.Symlinkat(target, d.fd, name) }

// link gives the file name in d a second name; a symlink is not followed.
func (d *dir) link(name string, to *dir, as string) error {
	return unix.Linkat(d.fd, name, to.fd, as, 0)
}

func (d *dir) mknod(name string, kind byte, major, minor uint32) error {
	format := map[byte]uint32{kindFifo: unix.S_IFIFO, kindChar: unix.S_IFCHR, kindBlock: unix.S_IFBLK}[kind]
	return unix.Mknodat(d.fd, name, format|0o600, int(unix.Mkdev(major, minor)))
}

func (d *dir) rename(from, to string) error { return unix.Renameat(d.fd, from, d.fd, to) }

// remove removes a file or an empty folder.
func (d *dir) remove(name string) error {
	err := unix.Unlinkat(d.fd, name, 0)
	if err == unix.EISDIR {
		return unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR)
	}
	return err
}

// syncAll waits until the disk has all of the file system.
func (d *dir) syncAll() error { return unix.Syncfs(d.fd) }

func (d *dir) chown(uid, gid int) error   { return unix.Fchown(d.fd, uid, gid) }
func (f file) chown(uid, gid int) error   { return unix.Fchown(f.fd, uid, gid) }
func (d *dir) chmod(mode uint32) error    { return unix.Fchmod(d.fd, mode) }
func (f file) chmod(mode uint32) error    { return unix.Fchmod(f.fd, mode) }
func (d *dir) setTime(t stamp) error      { return futimens(d.fd, t) }
func (f file) setTime(t stamp) error      { return futimens(f.fd, t) }
func (d *dir) attrs() ([]attr, error)     { return readAttrs(fdAttrs(d.fd)) }
func (f file) attrs() ([]attr, error)     { return readAttrs(fdAttrs(f.fd)) }
func (d *dir) setAttr(a attr) error       { return unix.Fsetxattr(d.fd, a.key, a.value, 0) }
func (f file) setAttr(a attr) error       { return unix.Fsetxattr(f.fd, a.key, a.value, 0) }
func (d *dir) named(name string) fileName { return fileName{d, name} }

// A fileName is a file that cannot be opened: a symlink, a FIFO, a device.
type fileName struct {
	d    *dir
	name string
}

func (n fileName) chown(uid, gid int) error {
	return unix.Fchownat(n.d.fd, n.name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

// chmod goes through an O_PATH descriptor where the kernel lacks fchmodat2,
// so that a symlink that took the file's place is never followed.
func (n fileName) chmod(mode uint32) error {
	err := unix.Fchmodat(n.d.fd, n.name, mode, unix.AT_SYMLINK_NOFOLLOW)
	if err != unix.EOPNOTSUPP && err != unix.ENOSYS && err != unix.EINVAL {
		return err
	}
	fd, err := openat(n.d.fd, n.name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmodat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), mode, 0)
}

func (n fileName) setTime(t stamp) error {
	return unix.UtimesNanoAt(n.d.fd, n.name, times(t), unix.AT_SYMLINK_NOFOLLOW)
}

// path names the file for the calls that know neither descriptors of what
// cannot be opened nor folders.
func (n fileName) path() string { return fmt.Sprintf("/proc/self/fd/%d/%s", n.d.fd, n.name) }

func (n fileName) setAttr(a attr) error { return unix.Lsetxattr(n.path(), a.key, a.value, 0) }

func (n fileName) attrs() ([]attr, error) {
	path := n.path()
	return readAttrs(
		func(p []byte) (int, error) { return unix.Llistxattr(path, p) },
		func(key string, p []byte) (int, error) { return unix.Lgetxattr(path, key, p) },
	)
}

func times(t stamp) []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: t.sec, Nsec: t.nsec}}
}

// futimens is utimensat without a name, which x/sys has no function for.
func futimens(fd int, t stamp) error {
	ts := times(t)
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func fdAttrs(fd int) (func([]byte) (int, error), func(string, []byte) (int, error)) {
	return func(p []byte) (int, error) { return unix.Flistxattr(fd, p) },
		func(key string, p []byte) (int, error) { return unix.Fgetxattr(fd, key, p) }
}

// readAttrs returns the extended attributes. A file system without them has
// none.
func readAttrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]attr, error) {
	var small [256]byte
	keys, err := grow(small[:], list)
	if err == unix.EOPNOTSUPP || len(keys) == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []attr
	for _, key := range strings.Split(strings.TrimSuffix(string(keys), "\x00"), "\x00") {
		value, err := grow(nil, func(p []byte) (int, error) { return get(key, p) })
		if err == unix.ENODATA {
			continue // removed meanwhile
		}
		if err != nil {
			return out, fmt.Errorf("%s: %w", key, err)
		}
		out = append(out, attr{key, value})
	}
	return out, nil
}

// grow calls f with a buffer that is large enough.
func grow(buf []byte, f func([]byte) (int, error)) ([]byte, error) {
	for {
		if len(buf) == 0 {
			n, err := f(nil)
			if n <= 0 || err != nil {
				return nil, err
			}
			buf = make([]byte, n)
		}
		n, err := f(buf)
		if err != unix.ERANGE {
			return buf[:max(n, 0)], err
		}
		buf = nil
	}
}
