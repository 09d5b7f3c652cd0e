//go:build !portable

package wasmhost

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

var le = binary.LittleEndian

func (s *service) seek(r *request, _ *answer) error {
	f, err := s.file(r.folder)
	off := int64(r.u64())
	if err != nil || off < 0 {
		return shield.FirstError(err, errInvalid)
	}
	f.moveTo(off)
	return nil
}

// extentLimit bounds the extents of one answer.
const extentLimit = 1 << 15

// extents tells where a file has data, from a position on. What lies behind
// the last one of a full answer has to be asked for.
func (s *service) extents(r *request, a *answer) error {
	f, err := s.file(r.folder)
	if err != nil {
		return err
	}
	fd, off := int(f.f.Fd()), int64(r.u64())
	for n := 0; n < extentLimit; n++ {
		from, err := unix.Seek(fd, off, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil
		}
		if err != nil {
			return err
		}
		to, err := unix.Seek(fd, from, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		a.u64(uint64(from))
		a.u64(uint64(to - from))
		off = to
	}
	return nil
}

func (s *service) truncate(r *request, _ *answer) error {
	f, err := s.writableFile(r.folder)
	if err != nil {
		return err
	}
	return unix.Ftruncate(int(f.f.Fd()), int64(r.u64()))
}

func (s *service) sync(r *request, _ *answer) error {
	f, err := s.file(r.folder)
	if err != nil {
		return err
	}
	return f.f.Sync()
}

func (s *service) lock(r *request, _ *answer) error {
	f, err := s.file(r.folder)
	if err != nil {
		return err
	}
	return unix.Flock(int(f.f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// advise says that a file will be read from its beginning to its end, or that
// it will be written and then synced.
func (s *service) advise(r *request, _ *answer) error {
	f, err := s.file(r.folder)
	if err != nil {
		return err
	}
	if r.flags&willWrite != 0 {
		f.eager = true
		return nil
	}
	return unix.Fadvise(int(f.f.Fd()), 0, 0, unix.FADV_SEQUENTIAL)
}

// mkdir makes a folder; without a name, that of the service itself.
func (s *service) mkdir(r *request, _ *answer) error {
	mode := r.u32()
	name := r.text()
	if name == "" && r.folder == 0 && !r.bad {
		if _, err := s.at(0); !errors.Is(err, fs.ErrNotExist) {
			return shield.FirstError(err, errExist)
		}
		return s.makeBase(fs.FileMode(mode & 0o777))
	}
	fd, err := s.at(r.folder)
	if err != nil || r.bad || !r.plain(name) {
		return shield.FirstError(err, errInvalid)
	}
	return unix.Mkdirat(fd, name, mode&0o777)
}

func (s *service) makeBase(perm fs.FileMode) error {
	if _, err := s.m.open(); errors.Is(err, fs.ErrNotExist) {
		if err := s.m.create(perm); err != nil {
			return err
		}
	}
	root, err := s.m.open()
	if err != nil || s.below == "" {
		return err
	}
	return root.MkdirAll(s.below, perm)
}

// symlink makes one that leads out only where that was granted.
func (s *service) symlink(r *request, _ *answer) error {
	target := r.text()
	at, err := s.newName(r)
	if err != nil {
		return err
	}
	if !s.m.owned && (path.IsAbs(target) || strings.Contains(target, "..")) {
		return s.i.deny("own", "make a symlink to %s in the folder %s", target, s.m.path)
	}
	return unix.Symlinkat(target, at.fd, at.name)
}

// newName takes a folder and a name that has to be there.
func (s *service) newName(r *request) (subject, error) {
	fd, err := s.at(r.folder)
	name := r.name()
	if r.bad {
		err = errInvalid
	}
	return subject{fd, name}, err
}

// second takes another folder and name.
func (s *service) second(r *request) (from, to subject, err error) {
	if from, err = s.newName(r); err != nil {
		return from, to, err
	}
	r.folder = r.u32()
	to, err = s.newName(r)
	return from, to, err
}

// link does not follow a symlink, but gives it a second name.
func (s *service) link(r *request, _ *answer) error {
	from, to, err := s.second(r)
	if err != nil {
		return err
	}
	return unix.Linkat(from.fd, from.name, to.fd, to.name, 0)
}

func (s *service) rename(r *request, _ *answer) error {
	from, to, err := s.second(r)
	if err != nil {
		return err
	}
	return unix.Renameat(from.fd, from.name, to.fd, to.name)
}

// remove removes a file or an empty folder.
func (s *service) remove(r *request, _ *answer) error {
	at, err := s.newName(r)
	if err != nil {
		return err
	}
	return at.remove()
}

func (at subject) remove() error {
	err := unix.Unlinkat(at.fd, at.name, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(at.fd, at.name, unix.AT_REMOVEDIR)
	}
	return err
}

func (s *service) mknod(r *request, _ *answer) error {
	mode, major, minor := r.u32(), r.u32(), r.u32()
	at, err := s.newName(r)
	if err != nil {
		return err
	}
	kind := mode & unix.S_IFMT
	switch kind {
	case unix.S_IFIFO:
	case unix.S_IFCHR, unix.S_IFBLK:
		if err := s.mustOwn("make a device"); err != nil {
			return err
		}
	default:
		return errInvalid
	}
	return unix.Mknodat(at.fd, at.name, kind|0o600, int(unix.Mkdev(major, minor)))
}

// mustOwn refuses what could outlive the sandbox.
func (s *service) mustOwn(what string) error {
	if s.m.owned {
		return nil
	}
	return s.i.deny("own", "%s in the folder %s", what, s.m.path)
}

func (s *service) chown(r *request, _ *answer) error {
	uid, gid := int32(r.u32()), int32(r.u32())
	at, err := s.changing(r)
	if err != nil {
		return err
	}
	if err := s.mustOwn("set an owner"); err != nil {
		return err
	}
	return at.chown(int(uid), int(gid))
}

// changing is subject for what changes it.
func (s *service) changing(r *request) (subject, error) {
	if r.flags&onHandle != 0 {
		if _, err := s.writableFile(r.folder); err != nil {
			return subject{}, err
		}
	}
	return s.subject(r)
}

func (s *service) chmod(r *request, _ *answer) error {
	mode := r.u32() & 0o7777
	at, err := s.changing(r)
	if err != nil {
		return err
	}
	return s.setMode(at, mode)
}

func (s *service) setMode(at subject, mode uint32) error {
	if mode&0o7000 != 0 {
		if err := s.mustOwn("set the mode " + fs.FileMode(mode).String()); err != nil {
			return err
		}
	}
	return at.chmod(mode)
}

func (s *service) times(r *request, _ *answer) error {
	sec, nsec := int64(r.u64()), r.u32()
	at, err := s.changing(r)
	if err != nil {
		return err
	}
	return at.setTime(sec, nsec)
}

func (s *service) setAttr(r *request, _ *answer) error {
	key, value := r.text(), r.text()
	at, err := s.changing(r)
	if err != nil {
		return err
	}
	return s.putAttr(at, key, value)
}

func (s *service) putAttr(at subject, key, value string) error {
	if !strings.HasPrefix(key, "user.") {
		if err := s.mustOwn("set the attribute " + key); err != nil {
			return err
		}
	}
	return at.setAttr(key, value)
}

func (s *service) syncAll(r *request, _ *answer) error {
	fd, err := s.at(r.folder)
	if err != nil {
		return err
	}
	return unix.Syncfs(fd)
}

// space tells of the file system: its kind, and how much room there is.
func (s *service) space(r *request, a *answer) error {
	fd, err := s.at(r.folder)
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return err
	}
	a.u64(uint64(st.Type))
	a.u64(st.Bavail * uint64(st.Bsize))
	a.u64(st.Blocks * uint64(st.Bsize))
	return nil
}
