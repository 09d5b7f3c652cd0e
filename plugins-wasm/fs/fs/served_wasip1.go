package fs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/shieldhq/shield/plugin/pdk"
)

// A served folder is one of the host's file service.
type served struct {
	*pdk.Folder
	base *served
	over *served // what it was opened in, nil for the base
	name string
	told told // of the folder itself
	last told // of the entry that was asked for last
}

// told is what the host tells of a file, with its attributes: they are wanted
// next as a rule, and cost no further request this way.
type told struct {
	pdk.FileInfo
	known bool
	attrs error // why the attributes are not known
}

// tell asks for all of a file. Attributes that cannot be read must not keep
// it from being backed up.
func tell(with byte, ask func(with byte) (pdk.FileInfo, error)) (told, error) {
	info, err := ask(with | pdk.WithAttrs)
	if err == nil {
		return told{FileInfo: info, known: true}, nil
	}
	if info, err2 := ask(with); err2 == nil {
		return told{FileInfo: info, known: true, attrs: err}, nil
	}
	return told{}, err
}

// list returns the attributes.
func (t *told) list() ([]attr, error) {
	out := make([]attr, 0, len(t.Attrs))
	for _, a := range t.Attrs {
		out = append(out, attr{a.Key, []byte(a.Value)})
	}
	return out, t.attrs
}

func (t *told) stat() stat {
	return stat{
		kind: kinds[t.Mode>>12&15], mode: t.Mode & 0o7777, uid: int(t.UID), gid: int(t.GID),
		size: t.Size, blocks: t.Blocks, mtime: stamp{t.Mtime.Sec, int64(t.Mtime.Nsec)},
		id: inode{t.Dev, t.Ino}, links: t.Links, major: t.Major, minor: t.Minor,
	}
}

// kinds are those of stat(2) as tar has them. It is never written to.
var kinds = [16]byte{
	1: kindFifo, 2: kindChar, 4: kindFolder, 6: kindBlock, 8: kindFile, 10: kindSymlink, 12: kindSocket,
}

func openBase(path string) (*dir, error) {
	f, err := pdk.OpenFolder(path)
	if errors.Is(err, syscall.ENOSYS) {
		return newDir(wrap(openPortable(path)))
	}
	if err != nil {
		return nil, err
	}
	d := &served{Folder: f}
	d.base = d
	if _, err := d.stat(); err != nil {
		d.close()
		return nil, err
	}
	return newDir(d, nil)
}

// makeShown makes a folder that WASI shows. The host makes those above it,
// which it does not.
func makeShown(path string, mode os.FileMode) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return errNotDir
	case errors.Is(err, fs.ErrNotExist):
		return os.Mkdir(path, mode)
	}
	return err
}

// makeBase makes the base directory with all above it, unless it is there.
func makeBase(path string, mode uint32) error {
	f, err := pdk.OpenFolder(path)
	if errors.Is(err, syscall.ENOSYS) {
		return makeShown(path, os.FileMode(mode))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err = f.Mkdir("", mode); errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// close leaves the service to the base directory.
func (d *served) close() {
	if d == d.base || d.Folder != d.base.Folder {
		_ = d.Close()
	}
}

func (d *served) down(name string) (openDir, error) {
	f, err := d.Walk(name)
	if err != nil {
		return nil, err
	}
	return &served{Folder: f, base: d.base, over: d, name: name}, nil
}

// stepLimit is how many folders the host goes down at once.
const stepLimit = 1000

// up goes down again from the base: the way from a folder to the one above
// could lead out of the tree, if it was moved meanwhile.
func (d *served) up() (openDir, error) {
	var names []string
	for at := d.over; at.over != nil; at = at.over {
		names = append(names, at.name)
	}
	slices.Reverse(names)
	out := &served{Folder: d.base.Folder, base: d.base, over: d.over.over, name: d.over.name}
	for len(names) > 0 {
		n := min(len(names), stepLimit)
		next, err := out.Walk(strings.Join(names[:n], "/"))
		out.close()
		if err != nil {
			return nil, err
		}
		out.Folder, names = next, names[n:]
	}
	return out, nil
}

func (d *served) stat() (stat, error) {
	t, err := tell(0, func(with byte) (pdk.FileInfo, error) { return d.Stat("", with) })
	d.told = t
	return t.stat(), err
}

func (d *served) attrs() ([]attr, error) {
	if !d.told.known {
		if _, err := d.stat(); err != nil {
			return nil, err
		}
	}
	return d.told.list()
}

// lstat also asks where a symlink leads.
func (d *served) lstat(name string) (stat, error) {
	t, err := tell(pdk.WithLink, func(with byte) (pdk.FileInfo, error) { return d.Stat(name, with) })
	d.last = t
	return t.stat(), err
}

// recall returns what is known of an entry.
func (d *served) recall(name string) (*told, error) {
	if !d.last.known || d.last.Name != name {
		if _, err := d.lstat(name); err != nil {
			return nil, err
		}
	}
	return &d.last, nil
}

func (d *served) readlink(name string) (string, error) {
	t, err := d.recall(name)
	if err != nil {
		return "", err
	}
	if t.stat().kind != kindSymlink {
		return "", syscall.EINVAL
	}
	return t.Link, nil
}

func (d *served) entries([]byte) ([]dirent, error) {
	var out []dirent
	err := d.Names(func(name string, kind uint32) {
		out = append(out, dirent{name, kinds[kind>>12&15]})
	})
	return out, err
}

func (d *served) missing() string { return "" }

func (d *served) special() string {
	kind, _, _, err := d.Space()
	if err != nil {
		return ""
	}
	return specials[uint32(kind)]
}

func (d *served) owner(uid int) string {
	name, _ := d.Owner(uid) // it is no loss: the number counts
	return name
}

func (d *served) group(gid int) string {
	name, _ := d.Group(gid)
	return name
}

// reading gets a small file whole. What fails then is tried step by step, so
// that the step that failed tells why.
func (d *served) reading(name string) (openFile, error) {
	w, err := d.Take(name, smallSize)
	if err != nil {
		return serve(d.Open(name))
	}
	f := &servedFile{File: w.Open, told: told{FileInfo: w.Info, known: true}}
	if w.Open == nil {
		f.whole = &w
	}
	return f, nil
}

func (d *served) making(name string) (openFile, error) { return serve(d.Create(name)) }

func (d *served) mkdir(name string, mode uint32) error { return d.Mkdir(name, mode) }
func (d *served) symlink(target, name string) error    { return d.Symlink(target, name) }
func (d *served) rename(from, to string) error         { return d.Rename(from, d.Folder, to) }
func (d *served) remove(name string) error             { return d.Remove(name) }
func (d *served) syncAll() error                       { return d.SyncAll() }

// undo leaves it to the host, which alone goes on when the guest is stopped.
func (d *dir) undo(name string) (keep func()) {
	s, ok := d.openDir.(*served)
	if !ok || s.Undo(name) != nil {
		return func() {}
	}
	return func() { _ = s.Forget(1) }
}

// wholeLimit is for the content and the attributes of a file that is made by
// one request.
const wholeLimit = 900 << 10

// makeWhole makes a file that did not exist by one request. The guest may be
// stopped at any time, and must not leave half a file.
func (s *shared) makeWhole(d *dir, name string, h *header, data []byte) error {
	to, ok := d.openDir.(*served)
	if !ok || len(data)+attrsSize(h.attrs) > wholeLimit {
		return s.makeSteps(d, name, h, data)
	}
	f := pdk.NewFile{UID: h.uid, GID: h.gid, Mode: h.mode, Mtime: fileTime(h.mtime)}
	for _, a := range h.attrs {
		f.Attrs = append(f.Attrs, fileAttr(a))
	}
	failed, err := to.Make(name, &f, data)
	for _, e := range failed {
		switch e.Step {
		case "owner":
			s.owned(h, e.Err)
		case "attribute":
			s.attribute(h.name, h.attrs[e.Attr], e.Err)
		default:
			s.report(h.name, e.Step, e.Err)
		}
	}
	return err
}

func (d *served) linkTo(name string, to openDir, as string) error {
	return d.Link(name, to.(*served).Folder, as)
}

func (d *served) mknod(name string, kind byte, major, minor uint32) error {
	for n, k := range kinds {
		if k == kind {
			return d.Mknod(name, uint32(n)<<12, major, minor)
		}
	}
	return syscall.EINVAL
}

func (d *served) chown(uid, gid int) error { return d.Chown("", uid, gid) }
func (d *served) chmod(mode uint32) error  { return d.Chmod("", mode) }
func (d *served) setTime(t stamp) error    { return d.SetTime("", fileTime(t)) }
func (d *served) setAttr(a attr) error     { return d.SetAttr("", fileAttr(a)) }

func fileTime(t stamp) pdk.FileTime { return pdk.FileTime{Sec: t.sec, Nsec: uint32(t.nsec)} }
func fileAttr(a attr) pdk.FileAttr  { return pdk.FileAttr{Key: a.key, Value: string(a.value)} }

func (d *served) entry(name string) dressable { return servedName{d, name} }

// A servedName is an entry of a served folder.
type servedName struct {
	d    *served
	name string
}

func (n servedName) chown(uid, gid int) error { return n.d.Chown(n.name, uid, gid) }
func (n servedName) chmod(mode uint32) error  { return n.d.Chmod(n.name, mode) }
func (n servedName) setTime(t stamp) error    { return n.d.SetTime(n.name, fileTime(t)) }
func (n servedName) setAttr(a attr) error     { return n.d.SetAttr(n.name, fileAttr(a)) }

func (n servedName) attrs() ([]attr, error) {
	t, err := n.d.recall(n.name)
	if err != nil {
		return nil, err
	}
	return t.list()
}

// A servedFile is an open file of the host.
type servedFile struct {
	*pdk.File
	at    int64 // where the host reads or writes next
	told  told
	seen  bool           // stat has given what is told
	whole *pdk.WholeFile // if it is not open, but here
}

func serve(f *pdk.File, err error) (openFile, error) {
	if err != nil {
		return nil, err
	}
	return &servedFile{File: f}, nil
}

func (f *servedFile) close() error {
	if f.whole != nil {
		return nil
	}
	return f.Close()
}

// stat asks for the attributes the first time.
func (f *servedFile) stat() (st stat, err error) {
	t := f.told
	switch {
	case t.known && !f.seen:
	case f.whole != nil:
		t.FileInfo = f.whole.After
	case t.known:
		t.FileInfo, err = f.Stat(0)
	default:
		t, err = tell(0, f.Stat)
		f.told = t
	}
	f.seen = true
	return t.stat(), err
}

func (f *servedFile) attrs() ([]attr, error) {
	if !f.told.known {
		if _, err := f.stat(); err != nil {
			return nil, err
		}
	}
	return f.told.list()
}

func (f *servedFile) seek(off int64) error {
	if f.at == off {
		return nil
	}
	err := f.SeekTo(off)
	if err == nil {
		f.at = off
	}
	return err
}

// readAt returns 0 and nil at the end of the file.
func (f *servedFile) readAt(p []byte, off int64) (int, error) {
	if f.whole != nil {
		return copy(p, f.whole.Content[min(off, int64(len(f.whole.Content))):]), nil
	}
	if err := f.seek(off); err != nil {
		return 0, err
	}
	n, err := f.Read(p)
	f.at += int64(n)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *servedFile) writeAt(p []byte, off int64) error {
	if err := f.seek(off); err != nil {
		return err
	}
	n, err := f.Write(p)
	f.at += int64(n)
	return err
}

func (f *servedFile) truncate(size int64) error { return f.Truncate(size) }

func (f *servedFile) sequential() { _ = f.Sequential() }

func (f *servedFile) extents(size int64, limit int) (list []extent, ok bool) {
	for off := int64(0); off < size; {
		more, err := f.ExtentsFrom(off)
		if err != nil {
			return nil, false
		}
		if len(more) == 0 {
			break
		}
		for _, x := range more {
			if x.Off >= size {
				return list, holed(list, size)
			}
			end := x.Off + x.Size
			if len(list) == limit-1 || end > size {
				end = size
			}
			list = append(list, extent{x.Off, end - x.Off})
			if off = end; off >= size {
				break
			}
		}
	}
	return list, holed(list, size)
}

func (f *servedFile) chown(uid, gid int) error { return f.Chown(uid, gid) }
func (f *servedFile) chmod(mode uint32) error  { return f.Chmod(mode) }
func (f *servedFile) setTime(t stamp) error    { return f.SetTime(fileTime(t)) }
func (f *servedFile) setAttr(a attr) error     { return f.SetAttr(fileAttr(a)) }
