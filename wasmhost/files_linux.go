//go:build !portable

package wasmhost

import (
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// A service is an open file service. Folders are descriptors that were opened
// one name at a time and without following symlinks, each from the one above:
// none leads out of the folder of the mount, whatever is renamed meanwhile.
type service struct {
	replies
	i       *instance
	m       *mount
	base    *os.File // nil until the folder exists
	below   string   // from the folder of the mount to that of the service
	folders map[uint32]int
	next    uint32
	undo    []subject // what is removed if the guest is stopped
}

var _ handle = (*service)(nil)

func (i *instance) openFiles(d *filesDescriptor) (handle, error) {
	folder := path.Clean(d.Folder)
	for _, m := range i.mounts {
		rest := strings.TrimPrefix(folder, m.path)
		if folder == m.path || rest != folder && (rest[0] == '/' || m.path == "/") {
			return &service{i: i, m: m, below: strings.TrimPrefix(rest, "/"), folders: map[uint32]int{}, next: 1}, nil
		}
	}
	return nil, i.deny("read", "open the folder %s", folder)
}

func (s *service) close() {
	for _, fd := range s.folders {
		_ = unix.Close(fd)
	}
	s.folders = nil
	s.drop(len(s.undo))
	if s.base != nil {
		_ = s.base.Close()
	}
}

// write executes one request.
func (s *service) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(p) > requestRoom {
		return 0, s.i.errorf(errInvalid, "the request has %d bytes: at most %d are allowed", len(p), requestRoom)
	}
	r := parseRequest(p)
	a := &answer{b: make([]byte, 4, 256)}
	err := s.do(r, a)
	if err == nil && r.bad {
		err = errInvalid
	}
	if err != nil && r.long {
		err = errNameTooLong
	}
	if err != nil {
		a.b = a.b[:0]
		a.u32(uint32(errnoOf(err)))
		_ = s.i.fail(err)
	}
	s.b = a.b
	return len(p), nil
}

func (s *service) do(r *request, a *answer) error {
	if (r.op >= opMkdir && r.op <= opSyncAll || r.op >= opUndo) && !s.m.writable {
		return errReadOnly
	}
	f, ok := operations[r.op]
	if !ok {
		return errNoSystem
	}
	return f(s, r, a)
}

// operations is never written to.
var operations = map[byte]func(*service, *request, *answer) error{
	opWalk: (*service).walk, opRelease: (*service).release, opStat: (*service).statOne, opList: (*service).list,
	opOpen: (*service).openOne, opSeek: (*service).seek, opExtents: (*service).extents, opTruncate: (*service).truncate,
	opSync: (*service).sync, opLock: (*service).lock, opAdvise: (*service).advise,
	opMkdir: (*service).mkdir, opSymlink: (*service).symlink, opLink: (*service).link, opMknod: (*service).mknod,
	opRename: (*service).rename, opRemove: (*service).remove, opChown: (*service).chown, opChmod: (*service).chmod,
	opTimes: (*service).times, opSetAttr: (*service).setAttr, opSyncAll: (*service).syncAll, opSpace: (*service).space,
	opOwner: (*service).owner, opTake: (*service).takeFile, opMake: (*service).makeFile,
	opSyncNames: (*service).syncNames, opUndo: (*service).onStop, opForget: (*service).forget,
}

// at returns the descriptor of a folder; 0 is that of the service.
func (s *service) at(number uint32) (int, error) {
	if number != 0 {
		fd, ok := s.folders[number]
		if !ok {
			return 0, errBadHandle
		}
		return fd, nil
	}
	if s.base == nil {
		root, err := s.m.open()
		if err != nil {
			return 0, err
		}
		below := s.below
		if below == "" {
			below = "."
		}
		f, err := root.Open(below)
		if err != nil {
			return 0, err
		}
		if fi, err := f.Stat(); err != nil || !fi.IsDir() {
			return 0, shield.FirstError(err, f.Close(), errNotFolder)
		}
		s.base = f
	}
	return int(s.base.Fd()), nil
}

// file returns the descriptor of an open file of this guest.
func (s *service) file(number uint32) (*fileHandle, error) {
	h, err := s.i.handle(int32(number))
	if err != nil {
		return nil, err
	}
	f, ok := h.(*fileHandle)
	if !ok {
		return nil, s.i.errorf(errBadHandle, "handle %d is no file", number)
	}
	return f, nil
}

// writableFile is file for what changes it.
func (s *service) writableFile(number uint32) (*fileHandle, error) {
	f, err := s.file(number)
	if err == nil && !f.m.writable {
		err = errReadOnly
	}
	return f, err
}

const openFolder = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func openat(fd int, name string, flags int, mode uint32) (int, error) {
	for {
		n, err := unix.Openat(fd, name, flags|unix.O_CLOEXEC, mode)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// walk opens a folder below another one: a name, or several with / between.
func (s *service) walk(r *request, a *answer) error {
	fd, err := s.at(r.folder)
	if err != nil {
		return err
	}
	names := strings.Split(r.text(), "/")
	if r.bad || len(names) > 4096 {
		return errInvalid
	}
	if len(s.folders) >= filesLimit {
		return errManyHandles
	}
	owned := false
	for _, name := range names {
		if !r.plain(name) {
			err = errInvalid
		}
		var next int
		if err == nil {
			next, err = openat(fd, name, openFolder, 0)
		}
		if owned {
			_ = unix.Close(fd)
		}
		if err != nil {
			return err
		}
		fd, owned = next, true
	}
	s.folders[s.next] = fd
	a.u32(s.next)
	s.next++
	return nil
}

func (s *service) release(r *request, _ *answer) error {
	fd, ok := s.folders[r.folder]
	if !ok {
		return errBadHandle
	}
	delete(s.folders, r.folder)
	return unix.Close(fd)
}

// A subject is what an operation is about: an open file, a folder, or a name
// in one.
type subject struct {
	fd   int
	name string // "" for what fd is
}

func (s *service) subject(r *request) (subject, error) {
	if r.flags&onHandle != 0 {
		f, err := s.file(r.folder)
		if err != nil {
			return subject{}, err
		}
		return subject{fd: int(f.f.Fd())}, nil
	}
	fd, err := s.at(r.folder)
	name := r.text()
	if name != "" && !r.plain(name) {
		r.bad = true
	}
	if r.bad {
		return subject{}, errInvalid
	}
	return subject{fd, name}, err
}

// statOne tells of one file.
func (s *service) statOne(r *request, a *answer) error {
	at, err := s.subject(r)
	if err != nil {
		return err
	}
	return at.describe(a, r.flags)
}

// list tells of the entries of a folder, as many as an answer holds. It ends
// with an answer without entries.
func (s *service) list(r *request, a *answer) error {
	fd, err := s.at(r.folder)
	if err != nil {
		return err
	}
	if r.flags&fromStart != 0 {
		if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
			return err
		}
	}
	buf := make([]byte, 32<<10)
	for len(a.b) < answerRoom {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			break
		}
		listEntries(a, fd, buf[:n], r.flags)
	}
	return nil
}

// describeEntry tells of a file, or of the error that asking for it met.
func describeEntry(a *answer, at subject, flags byte) {
	from := len(a.b)
	a.u32(0)
	if err := at.describe(a, flags); err != nil {
		a.b = a.b[:from]
		a.u32(uint32(errnoOf(err)))
		a.text(at.name)
	}
}

// openForReading leaves the time of the last access alone where that is
// allowed, which it is to the owner. NONBLOCK keeps a FIFO from hanging us.
func openForReading(fd int, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK
	n, err := openat(fd, name, flags|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		n, err = openat(fd, name, flags, 0)
	}
	return n, err
}

// openOne opens a regular file for reading, or makes a new one for writing,
// and answers with the number of its handle.
func (s *service) openOne(r *request, a *answer) error {
	fd, err := s.at(r.folder)
	name := r.name()
	if err != nil || r.bad {
		return shield.FirstError(err, errInvalid)
	}
	var n int
	if r.flags&forWriting != 0 {
		if !s.m.writable {
			return errReadOnly
		}
		n, err = openat(fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	} else {
		n, err = openForReading(fd, name)
	}
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(n, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return shield.FirstError(err, unix.Close(n), errLoop)
	}
	return s.hand(n, name, a)
}

// hand gives the guest an open file.
func (s *service) hand(fd int, name string, a *answer) error {
	h, err := s.i.add(&fileHandle{f: os.NewFile(uintptr(fd), name), m: s.m})
	if err == nil {
		a.u32(uint32(h))
	}
	return err
}
