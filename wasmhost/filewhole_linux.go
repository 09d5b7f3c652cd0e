//go:build !portable

package wasmhost

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// Most files of a tree are small. One request takes or makes one of them: to
// ask for each step costs more than the steps do.

// takeFile opens a file and tells of it. If it is small and has one name and
// no holes, its content and what is told of it then follow; otherwise it is
// left open.
func (s *service) takeFile(r *request, a *answer) error {
	limit := min(int64(r.u32()), answerRoom)
	at, err := s.newName(r)
	if err != nil {
		return err
	}
	fd, err := openForReading(at.fd, at.name)
	if err != nil {
		return err
	}
	from := len(a.b)
	a.u32(0)
	st, err := subject{fd: fd}.tell(a, r.flags)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errLoop
	}
	if err != nil {
		return shield.FirstError(err, unix.Close(fd))
	}
	if st.Size > limit || st.Nlink > 1 || st.Blocks*512 < st.Size {
		var number answer
		if err := s.hand(fd, at.name, &number); err != nil {
			return err
		}
		copy(a.b[from:], number.b)
		return nil
	}
	err = a.content(fd, int(st.Size))
	if err == nil {
		err = subject{fd: fd}.describe(a, 0)
	}
	return shield.FirstError(err, unix.Close(fd))
}

// content appends the first n bytes of a file, or what there is of them.
func (a *answer) content(fd, n int) error {
	at := len(a.b)
	a.b = slices.Grow(a.b, 4+n)
	a.u32(0)
	p := a.b[len(a.b) : len(a.b)+n]
	got := 0
	for got < n {
		m, err := unix.Pread(fd, p[got:], int64(got))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if m == 0 {
			break
		}
		got += m
	}
	le.PutUint32(a.b[at:], uint32(got))
	a.b = a.b[:len(a.b)+got]
	return nil
}

// The steps of makeFile that may fail for a file that is kept all the same.
const (
	stepOwner = 1
	stepMode  = 2
	stepTime  = 3
	stepAttr  = 4 // and the number of the attribute
)

// makeFile makes a file that did not exist, with its content and all else. It
// answers with the steps that failed. Without its content, no file is left.
func (s *service) makeFile(r *request, a *answer) error {
	d := dress{uid: int32(r.u32()), gid: int32(r.u32()), mode: r.u32() & 0o7777, sec: int64(r.u64()), nsec: r.u32()}
	for n := r.u32(); n > 0 && !r.bad; n-- {
		d.attrs = append(d.attrs, [2]string{r.text(), r.text()})
	}
	at, err := s.newName(r)
	content := r.take(int(r.u32()))
	if r.bad {
		err = errInvalid
	}
	if err != nil {
		return err
	}
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW
	fd, err := openat(at.fd, at.name, flags, 0o600)
	if err != nil {
		return err
	}
	if err = writeAll(fd, content); err == nil {
		s.dress(subject{fd: fd}, &d, a)
	}
	if err = shield.FirstError(err, unix.Close(fd)); err != nil {
		_ = unix.Unlinkat(at.fd, at.name, 0)
	}
	return err
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// A dress is what a file gets beside its content.
type dress struct {
	uid, gid int32
	mode     uint32
	attrs    [][2]string
	sec      int64
	nsec     uint32
}

// dress gives a file its attributes. The order matters: a new owner clears
// setuid and capabilities, and all of it changes times.
func (s *service) dress(at subject, d *dress, a *answer) {
	failed := func(step uint32, err error) bool {
		if err != nil {
			a.u32(step)
			a.u32(uint32(errnoOf(err)))
		}
		return err != nil
	}
	err := s.mustOwn("set an owner")
	if err == nil {
		err = at.chown(int(d.uid), int(d.gid))
	}
	if failed(stepOwner, err) {
		d.mode &^= 0o6000 // they would speak for another owner
	}
	failed(stepMode, s.setMode(at, d.mode))
	for n, kv := range d.attrs {
		failed(stepAttr+uint32(n), s.putAttr(at, kv[0], kv[1]))
	}
	failed(stepTime, at.setTime(d.sec, d.nsec))
}

// syncNames waits until the disk has the names in a folder. Some file systems
// cannot, and have no need to.
func (s *service) syncNames(r *request, _ *answer) error {
	fd, err := s.at(r.folder)
	if err != nil {
		return err
	}
	if err = unix.Fsync(fd); err == unix.EINVAL || err == unix.ENOTSUP {
		return nil
	}
	return err
}

// undoLimit bounds what is to be removed if the guest is stopped.
const undoLimit = 1024

// onStop takes a name that is removed if the guest is stopped before it
// forgets it, or closes the service: it cannot clean up itself then.
func (s *service) onStop(r *request, _ *answer) error {
	at, err := s.newName(r)
	if err != nil {
		return err
	}
	if len(s.undo) >= undoLimit {
		return errManyHandles
	}
	fd, err := unix.FcntlInt(uintptr(at.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, subject{fd, at.name})
	return nil
}

// forget takes back the last names.
func (s *service) forget(r *request, _ *answer) error {
	n := int(r.u32())
	if n > len(s.undo) {
		return errInvalid
	}
	s.drop(n)
	return nil
}

func (s *service) drop(n int) {
	for ; n > 0; n-- {
		last := len(s.undo) - 1
		_ = unix.Close(s.undo[last].fd)
		s.undo = s.undo[:last]
	}
}

// stopped removes the names, the last first.
func (s *service) stopped() {
	for _, at := range slices.Backward(s.undo) {
		_ = at.remove()
	}
}
