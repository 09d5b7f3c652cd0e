package wasmhost

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasi "github.com/tetratelabs/wazero/sys"
)

// stamp returns a time for os.Root: zero leaves one as it is.
func stamp(ns int64) time.Time {
	if ns == sys.UTIME_OMIT {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// An openedFile is a regular file or a folder of a mount.
type openedFile struct {
	sys.UnimplementedFile
	m    *mount
	path string
	flag sys.Oflag
	f    *os.File
	st   wasi.Stat_t // when it was opened
}

var _ sys.File = (*openedFile)(nil)

// openFile looks at the file before it opens it, since opening a FIFO or a
// device may hang or do something, and again when it is open.
func openFile(m *mount, root *os.Root, p string, flag sys.Oflag, perm fs.FileMode) (sys.File, error) {
	look := root.Stat
	if flag&sys.O_NOFOLLOW != 0 {
		look = root.Lstat
	}
	fi, err := look(p)
	switch {
	case err == nil && fi.Mode()&fs.ModeSymlink != 0:
		return nil, sys.ELOOP
	case err == nil && !plain(fi):
		return nil, sys.EPERM
	case err != nil && (flag&sys.O_CREAT == 0 || !errors.Is(err, fs.ErrNotExist)):
		return nil, err
	}
	f, err := root.OpenFile(p, openFlags(flag), perm&fs.ModePerm)
	if err != nil {
		return nil, err
	}
	if fi, err = f.Stat(); err == nil {
		err = checkOpened(fi, flag)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &openedFile{m: m, path: p, flag: flag, f: f, st: wasi.NewStat_t(fi)}, nil
}

func plain(fi fs.FileInfo) bool { return fi.Mode().IsRegular() || fi.IsDir() }

func checkOpened(fi fs.FileInfo, flag sys.Oflag) error {
	switch {
	case !plain(fi):
		return sys.EPERM
	case flag&sys.O_DIRECTORY != 0 && !fi.IsDir():
		return sys.ENOTDIR
	case flag&(sys.O_RDWR|sys.O_WRONLY) != 0 && fi.IsDir():
		return sys.EISDIR
	}
	return nil
}

// openFlags adds O_NONBLOCK, so that a FIFO that took the file's place cannot
// hang the host.
func openFlags(flag sys.Oflag) int {
	out := os.O_RDONLY | syscall.O_NONBLOCK
	for _, f := range []struct {
		from sys.Oflag
		to   int
	}{
		{sys.O_RDWR, os.O_RDWR}, {sys.O_WRONLY, os.O_WRONLY}, {sys.O_APPEND, os.O_APPEND}, {sys.O_CREAT, os.O_CREATE},
		{sys.O_EXCL, os.O_EXCL}, {sys.O_TRUNC, os.O_TRUNC}, {sys.O_SYNC, os.O_SYNC}, {sys.O_DSYNC, os.O_SYNC},
	} {
		if flag&f.from != 0 {
			out |= f.to
		}
	}
	return out
}

// errno is that of an operation on an open file.
func (o *openedFile) errno(err error) sys.Errno {
	if errors.Is(err, os.ErrClosed) {
		return sys.EBADF
	}
	if errors.Is(err, syscall.EFBIG) {
		return sys.EINVAL // wazero knows no EFBIG, and EIO would blame the disk
	}
	return sys.UnwrapOSError(err)
}

func (o *openedFile) Dev() (uint64, sys.Errno)     { return o.st.Dev, 0 }
func (o *openedFile) Ino() (wasi.Inode, sys.Errno) { return o.st.Ino, 0 }
func (o *openedFile) IsDir() (bool, sys.Errno)     { return o.st.Mode.IsDir(), 0 }
func (o *openedFile) IsAppend() bool               { return o.flag&sys.O_APPEND != 0 }

func (o *openedFile) Stat() (wasi.Stat_t, sys.Errno) {
	fi, err := o.f.Stat()
	if err != nil {
		return wasi.Stat_t{}, o.errno(err)
	}
	return wasi.NewStat_t(fi), 0
}

func (o *openedFile) Read(p []byte) (int, sys.Errno) {
	if o.st.Mode.IsDir() {
		return 0, sys.EISDIR
	}
	n, err := o.f.Read(p)
	return o.ended(n, err)
}

func (o *openedFile) Pread(p []byte, off int64) (int, sys.Errno) {
	if o.st.Mode.IsDir() {
		return 0, sys.EISDIR
	}
	n, err := o.f.ReadAt(p, off)
	return o.ended(n, err)
}

func (o *openedFile) ended(n int, err error) (int, sys.Errno) {
	if n > 0 || errors.Is(err, io.EOF) {
		return n, 0
	}
	return n, o.errno(err)
}

// A position has a name because vet takes a Seek with an int64 for that of
// io.Seeker.
type position = int64

func (o *openedFile) Seek(offset position, whence int) (int64, sys.Errno) {
	if whence < io.SeekStart || whence > io.SeekEnd {
		return 0, sys.EINVAL // the others tell where holes are, by the file service
	}
	n, err := o.f.Seek(offset, whence)
	return n, o.errno(err)
}

func (o *openedFile) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	if !o.st.Mode.IsDir() {
		return nil, sys.ENOTDIR
	}
	entries, err := o.f.ReadDir(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, o.errno(err)
	}
	out := make([]sys.Dirent, 0, len(entries))
	for _, e := range entries {
		// Without the number of the inode, which would cost a call each. Those
		// who want it ask for it.
		out = append(out, sys.Dirent{Name: e.Name(), Type: e.Type()})
	}
	return out, 0
}

// writes refuses what the file was not opened for. The system would, but for
// truncating and for times.
func (o *openedFile) writes() bool { return o.flag&(sys.O_RDWR|sys.O_WRONLY) != 0 }

func (o *openedFile) Write(p []byte) (int, sys.Errno) {
	if !o.writes() {
		return 0, sys.EBADF
	}
	n, err := o.f.Write(p)
	return n, o.errno(err)
}

func (o *openedFile) Pwrite(p []byte, off int64) (int, sys.Errno) {
	if !o.writes() {
		return 0, sys.EBADF
	}
	if o.IsAppend() {
		return o.Write(p)
	}
	n, err := o.f.WriteAt(p, off)
	return n, o.errno(err)
}

func (o *openedFile) Truncate(size int64) sys.Errno {
	if !o.writes() {
		return sys.EBADF
	}
	if size < 0 {
		return sys.EINVAL
	}
	return o.errno(o.f.Truncate(size))
}

func (o *openedFile) Sync() sys.Errno     { return o.errno(o.f.Sync()) }
func (o *openedFile) Datasync() sys.Errno { return o.errno(o.f.Sync()) }

func (o *openedFile) Utimens(atim, mtim int64) sys.Errno {
	if !o.m.writable {
		return sys.EROFS
	}
	return o.m.Utimens(o.path, atim, mtim)
}

func (o *openedFile) Close() sys.Errno { return o.errno(o.f.Close()) }
