package pdk

import (
	"encoding/binary"
	"io"
	"sync"
	"syscall"
	"unsafe"
)

// A Folder is an open folder of the host's file service, which tells and sets
// what WASI has no calls for. Names are those of entries; where a name is
// empty the folder itself is meant. Symlinks are not followed.
type Folder struct {
	service *fileService
	number  uint32
}

// A fileService is an open file service. An answer has to be read before the
// next request.
type fileService struct {
	mu     sync.Mutex
	handle int32
	buf    []byte
}

// A FileInfo is what the file service tells of a file.
type FileInfo struct {
	Name         string
	Mode         uint32 // with the kind, as stat(2) has it
	UID, GID     uint32
	Links        uint64
	Dev, Ino     uint64
	Major, Minor uint32
	Size, Blocks int64
	Mtime, Ctime FileTime
	Link         string // where a symlink leads
	Attrs        []FileAttr
	Err          error // of an entry that was listed: why nothing else is known
}

// A FileTime is a time as the system keeps it.
type FileTime struct {
	Sec  int64
	Nsec uint32
}

// A FileAttr is an extended attribute.
type FileAttr struct{ Key, Value string }

// A FileExtent is a run of data in a file with holes.
type FileExtent struct{ Off, Size int64 }

// What Stat and List tell beyond what is always told.
const (
	WithLink  = 2
	WithAttrs = 4
)

// OpenFolder opens the file service for a folder that the grant holds. The
// folder need not exist: Mkdir with an empty name makes it. The error is
// ENOSYS on hosts that have no file service.
func OpenFolder(path string) (*Folder, error) {
	h, err := openHandle(map[string]any{"files": map[string]any{"folder": path}})
	if err != nil {
		return nil, err
	}
	return &Folder{service: &fileService{handle: h, buf: make([]byte, 256<<10)}}, nil
}

// Close closes the folder; the one that OpenFolder returned, and with it all
// others, at last.
func (d *Folder) Close() error {
	if d.number != 0 {
		_, err := d.call(d.about(2, 0))
		return err
	}
	if n := hostClose(d.service.handle); n < 0 {
		return hostError(int64(n))
	}
	return nil
}

// A message is a request that is being made.
type message []byte

func (d *Folder) about(op, flags byte) message {
	return append(make(message, 0, 64), op, flags, 0, 0).u32(d.number)
}

func (m message) u32(v uint32) message { return binary.LittleEndian.AppendUint32(m, v) }
func (m message) u64(v uint64) message { return binary.LittleEndian.AppendUint64(m, v) }
func (m message) text(s string) message {
	return append(m.u32(uint32(len(s))), s...)
}

// call sends a request and returns the answer.
func (d *Folder) call(m message) (reply, error) {
	s := d.service
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := hostWrite(s.handle, unsafe.Pointer(unsafe.SliceData(m)), uint32(len(m)), 0); n < 0 {
		return nil, hostError(int64(n))
	}
	var b reply
	for {
		n := hostRead(s.handle, unsafe.Pointer(unsafe.SliceData(s.buf)), uint32(len(s.buf)), 0)
		if n < 0 {
			return nil, hostError(int64(n))
		}
		b = append(b, s.buf[:n]...)
		if int(n) < len(s.buf) {
			break
		}
	}
	if e := b.u32(); e != 0 {
		return nil, syscall.Errno(e)
	}
	return b, nil
}

// do is call for a request that is answered with nothing.
func (d *Folder) do(m message) error {
	_, err := d.call(m)
	return err
}

// A reply is an answer that is being read. The host is trusted to have sent
// all of it.
type reply []byte

func (r *reply) u32() uint32 {
	v := binary.LittleEndian.Uint32(*r)
	*r = (*r)[4:]
	return v
}

func (r *reply) u64() uint64 {
	v := binary.LittleEndian.Uint64(*r)
	*r = (*r)[8:]
	return v
}

func (r *reply) text() string {
	n := r.u32()
	s := string((*r)[:n])
	*r = (*r)[n:]
	return s
}

func (r *reply) bytes() []byte {
	n := r.u32()
	b := (*r)[:n:n]
	*r = (*r)[n:]
	return b
}

// fixedInfo is the size of what all entries have before their texts.
const fixedInfo = 84

func (r *reply) info() FileInfo {
	b, le := (*r)[:fixedInfo], binary.LittleEndian
	i := FileInfo{
		Mode: le.Uint32(b), UID: le.Uint32(b[4:]), GID: le.Uint32(b[8:]),
		Links: le.Uint64(b[12:]), Dev: le.Uint64(b[20:]), Ino: le.Uint64(b[28:]),
		Major: le.Uint32(b[36:]), Minor: le.Uint32(b[40:]), Size: int64(le.Uint64(b[44:])), Blocks: int64(le.Uint64(b[52:])),
		Mtime: FileTime{int64(le.Uint64(b[60:])), le.Uint32(b[68:])}, Ctime: FileTime{int64(le.Uint64(b[72:])), le.Uint32(b[80:])},
	}
	*r = (*r)[fixedInfo:]
	i.Name, i.Link = r.text(), r.text()
	for n := r.u32(); n > 0; n-- {
		i.Attrs = append(i.Attrs, FileAttr{r.text(), r.text()})
	}
	return i
}

// Walk opens a folder below: a name, or several with / between.
func (d *Folder) Walk(path string) (*Folder, error) {
	r, err := d.call(d.about(1, 0).text(path))
	if err != nil {
		return nil, err
	}
	return &Folder{d.service, r.u32()}, nil
}

// Stat tells of an entry.
func (d *Folder) Stat(name string, with byte) (FileInfo, error) {
	r, err := d.call(d.about(3, with).text(name))
	if err != nil {
		return FileInfo{}, err
	}
	return r.info(), nil
}

// List calls yield with all entries, in no order.
func (d *Folder) List(with byte, yield func(FileInfo) error) error {
	for flags := with | 8; ; flags = with {
		r, err := d.call(d.about(4, flags))
		if err != nil || len(r) == 0 {
			return err
		}
		for len(r) > 0 {
			i := FileInfo{}
			if e := r.u32(); e != 0 {
				i.Name, i.Err = r.text(), syscall.Errno(e)
			} else {
				i = r.info()
			}
			if err := yield(i); err != nil {
				return err
			}
		}
	}
}

// Names calls yield with the name and the kind of each entry, as far as the
// folder tells it: the kind's bits of Mode, or 0.
func (d *Folder) Names(yield func(name string, kind uint32)) error {
	for flags := byte(16 | 8); ; flags = 16 {
		r, err := d.call(d.about(4, flags))
		if err != nil || len(r) == 0 {
			return err
		}
		for len(r) > 0 {
			kind := r.u32()
			yield(r.text(), kind)
		}
	}
}

// Owner returns the name of a user on the host, Group that of a group; empty
// if it has none.
func (d *Folder) Owner(uid int) (string, error) { return d.owner(0, uid) }

// Group returns the name of a group.
func (d *Folder) Group(gid int) (string, error) { return d.owner(1, gid) }

func (d *Folder) owner(kind uint32, id int) (string, error) {
	r, err := d.call(d.about(32, 0).u32(kind).u32(uint32(id)))
	if err != nil {
		return "", err
	}
	return r.text(), nil
}

// Sync waits until the disk has the names that are in the folder.
func (d *Folder) Sync() error { return d.do(d.about(36, 0)) }

// Mkdir makes a folder.
func (d *Folder) Mkdir(name string, mode uint32) error {
	return d.do(d.about(20, 0).u32(mode).text(name))
}

// Symlink makes a symlink.
func (d *Folder) Symlink(target, name string) error {
	return d.do(d.about(21, 0).text(target).text(name))
}

// Link gives a file another name.
func (d *Folder) Link(name string, to *Folder, as string) error {
	return d.do(d.about(22, 0).text(name).u32(to.number).text(as))
}

// Mknod makes a FIFO or a device; mode has its kind, as for mknod(2).
func (d *Folder) Mknod(name string, mode, major, minor uint32) error {
	return d.do(d.about(23, 0).u32(mode).u32(major).u32(minor).text(name))
}

// Rename gives a file another name, in the place of what has it.
func (d *Folder) Rename(name string, to *Folder, as string) error {
	return d.do(d.about(24, 0).text(name).u32(to.number).text(as))
}

// Remove removes a file or an empty folder.
func (d *Folder) Remove(name string) error { return d.do(d.about(25, 0).text(name)) }

// Chown sets owner and group; -1 leaves one as it is.
func (d *Folder) Chown(name string, uid, gid int) error {
	return d.do(d.about(26, 0).u32(uint32(uid)).u32(uint32(gid)).text(name))
}

// Chmod sets the twelve bits of chmod(2).
func (d *Folder) Chmod(name string, mode uint32) error {
	return d.do(d.about(27, 0).u32(mode).text(name))
}

// SetTime sets the time of the last change, also that of a symlink.
func (d *Folder) SetTime(name string, t FileTime) error {
	return d.do(d.about(28, 0).u64(uint64(t.Sec)).u32(t.Nsec).text(name))
}

// SetAttr sets an extended attribute.
func (d *Folder) SetAttr(name string, a FileAttr) error {
	return d.do(d.about(29, 0).text(a.Key).text(a.Value).text(name))
}

// SyncAll waits until the disk has all of the file system.
func (d *Folder) SyncAll() error { return d.do(d.about(30, 0)) }

// Space tells the kind of the file system, as statfs(2) has it, and how many
// bytes are free and in all.
func (d *Folder) Space() (kind, free, all uint64, err error) {
	r, err := d.call(d.about(31, 0))
	if err != nil {
		return 0, 0, 0, err
	}
	return r.u64(), r.u64(), r.u64(), nil
}

// Take tells of a regular file with its attributes and, if it has at most
// limit bytes, one name and no holes, gives its content and what is told of
// it after that. Otherwise it gives the file, open for reading, whose content
// is still to be read.
func (d *Folder) Take(name string, limit uint32) (w WholeFile, err error) {
	r, err := d.call(d.about(12, WithAttrs).u32(limit).text(name))
	if err != nil {
		return w, err
	}
	h := int32(r.u32())
	if w.Info = r.info(); h != 0 {
		w.Open = d.file(h)
		return w, nil
	}
	w.Content = r.bytes()
	w.After = r.info()
	return w, nil
}

// A WholeFile is what Take gives.
type WholeFile struct {
	Info, After FileInfo
	Content     []byte
	Open        *File // nil: Content is all of the file
}

// A NewFile is a file to make: its owner, its mode of twelve bits, its time and
// its attributes.
type NewFile struct {
	UID, GID int
	Mode     uint32
	Mtime    FileTime
	Attrs    []FileAttr
}

// A StepError says what of a new file failed: "owner", "mode", "time" or
// "attribute". Without its owner a file has no setuid and setgid bits either.
type StepError struct {
	Step string
	Attr int // which one
	Err  error
}

// Make makes a regular file that did not exist, whole: the guest cannot be
// stopped half way. The file is there even if some of its attributes are not.
// NewFile and content have at most 1 MiB together.
func (d *Folder) Make(name string, f *NewFile, content []byte) ([]StepError, error) {
	size := 128 + len(name) + len(content)
	for _, a := range f.Attrs {
		size += 8 + len(a.Key) + len(a.Value)
	}
	m := append(make(message, 0, size), d.about(35, 0)...)
	m = m.u32(uint32(f.UID)).u32(uint32(f.GID)).u32(f.Mode).u64(uint64(f.Mtime.Sec)).u32(f.Mtime.Nsec)
	m = m.u32(uint32(len(f.Attrs)))
	for _, a := range f.Attrs {
		m = m.text(a.Key).text(a.Value)
	}
	m = append(m.text(name).u32(uint32(len(content))), content...)
	r, err := d.call(m)
	var failed []StepError
	for err == nil && len(r) > 0 {
		step, e := r.u32(), syscall.Errno(r.u32())
		if step >= 4 {
			failed = append(failed, StepError{"attribute", int(step) - 4, e})
		} else {
			failed = append(failed, StepError{[]string{"", "owner", "mode", "time"}[step], 0, e})
		}
	}
	return failed, err
}

// Undo removes a name if the guest is stopped before it closes the folder that
// OpenFolder returned, or takes that back by Forget: a guest that is stopped
// cannot clean up itself. The last one is removed first.
func (d *Folder) Undo(name string) error { return d.do(d.about(33, 0).text(name)) }

// Forget takes back the last n names of Undo.
func (d *Folder) Forget(n int) error { return d.do(d.about(34, 0).u32(uint32(n))) }

// Open opens a regular file for reading.
func (d *Folder) Open(name string) (*File, error) { return d.open(name, 0) }

// Create makes a regular file that did not exist, for writing.
func (d *Folder) Create(name string) (*File, error) { return d.open(name, 2) }

func (d *Folder) open(name string, flags byte) (*File, error) {
	r, err := d.call(d.about(5, flags).text(name))
	if err != nil {
		return nil, err
	}
	return d.file(int32(r.u32())), nil
}

func (d *Folder) file(h int32) *File {
	return &File{hostStream: newStream(h), about: Folder{d.service, uint32(h)}}
}

// A File is an open regular file of the host. Copy moves its content on the
// host.
type File struct {
	*hostStream
	about Folder
}

// Stat tells of the file.
func (f *File) Stat(with byte) (FileInfo, error) {
	r, err := f.about.call(f.about.about(3, with|1))
	if err != nil {
		return FileInfo{}, err
	}
	return r.info(), nil
}

// SeekTo moves to where is read and written next.
func (f *File) SeekTo(off int64) error { return f.about.do(f.about.about(6, 0).u64(uint64(off))) }

// ReadAt implements io.ReaderAt. It moves to behind what was read.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if err := f.SeekTo(off); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(f, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Extents tells where the file has data.
func (f *File) Extents() ([]FileExtent, error) {
	var list []FileExtent
	for off := int64(0); ; {
		more, err := f.ExtentsFrom(off)
		if err != nil || len(more) == 0 {
			return list, err
		}
		list = append(list, more...)
		off = list[len(list)-1].Off + list[len(list)-1].Size
	}
}

// ExtentsFrom tells where the file has data from an offset on: some thousands
// of extents, and none only at the end.
func (f *File) ExtentsFrom(off int64) ([]FileExtent, error) {
	r, err := f.about.call(f.about.about(7, 0).u64(uint64(off)))
	if err != nil {
		return nil, err
	}
	list := make([]FileExtent, 0, len(r)/16)
	for len(r) > 0 {
		list = append(list, FileExtent{int64(r.u64()), int64(r.u64())})
	}
	return list, nil
}

// Truncate sets the size of the file.
func (f *File) Truncate(size int64) error { return f.about.do(f.about.about(8, 0).u64(uint64(size))) }

// Sync waits until the disk has the file.
func (f *File) Sync() error { return f.about.do(f.about.about(9, 0)) }

// Lock takes the file for this guest alone; EAGAIN if another has it.
func (f *File) Lock() error { return f.about.do(f.about.about(10, 0)) }

// Sequential says that all of the file will be read.
func (f *File) Sequential() error { return f.about.do(f.about.about(11, 0)) }

// WillWrite says that the file will be written and synced in the end, so that
// the disk had better begin early.
func (f *File) WillWrite() error { return f.about.do(f.about.about(11, 2)) }

// Chown sets owner and group.
func (f *File) Chown(uid, gid int) error {
	return f.about.do(f.about.about(26, 1).u32(uint32(uid)).u32(uint32(gid)))
}

// Chmod sets the twelve bits of chmod(2).
func (f *File) Chmod(mode uint32) error { return f.about.do(f.about.about(27, 1).u32(mode)) }

// SetTime sets the time of the last change.
func (f *File) SetTime(t FileTime) error {
	return f.about.do(f.about.about(28, 1).u64(uint64(t.Sec)).u32(t.Nsec))
}

// SetAttr sets an extended attribute.
func (f *File) SetAttr(a FileAttr) error {
	return f.about.do(f.about.about(29, 1).text(a.Key).text(a.Value))
}

var _ io.ReadWriteCloser = (*File)(nil)
