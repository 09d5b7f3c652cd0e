package fs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// servedDisk is a disk on the host's file service. Blobs themselves never
// enter the guest.
type servedDisk struct{ base *pdk.Folder }

var _ disk = servedDisk{}

func openDisk(base string) (disk, error) {
	f, err := pdk.OpenFolder(base)
	if errors.Is(err, syscall.ENOSYS) {
		return openRootDisk(base)
	}
	if err == nil {
		if _, err = f.Stat("", 0); err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		return nil, err
	}
	return servedDisk{f}, nil
}

func (d servedDisk) Close() error { return d.base.Close() }

// linkLimit is how many symlinks are followed on one way.
const linkLimit = 8

// walk opens the folder that a name is in, and returns its name there. It
// follows symlinks in the way that os.Root does: none that leads out.
func (d servedDisk) walk(name string, follow bool) (*pdk.Folder, string, error) {
	for range linkLimit {
		folder, last, err := d.reach(name)
		if !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.ELOOP) && (err != nil || !follow) {
			return folder, last, err
		}
		next, err2 := d.resolve(name, follow)
		if next == "" || err2 != nil {
			if err2 != nil {
				err = err2
			}
			return folder, last, err
		}
		if folder != nil {
			d.leave(folder)
		}
		name = next
	}
	return nil, "", syscall.ELOOP
}

func (d servedDisk) reach(name string) (*pdk.Folder, string, error) {
	dir, last := path.Split(path.Clean(name))
	if last == "." {
		last = "" // the folder itself
	}
	if dir = path.Clean(dir); dir == "." {
		return d.base, last, nil
	}
	f, err := d.base.Walk(dir)
	return f, last, err
}

func (d servedDisk) leave(f *pdk.Folder) {
	if f != d.base {
		_ = f.Close()
	}
}

// resolve returns the name with its first symlink replaced; "" if there is
// none.
func (d servedDisk) resolve(name string, follow bool) (string, error) {
	parts := strings.Split(path.Clean(name), "/")
	at := d.base
	defer func() { d.leave(at) }()
	for i, part := range parts {
		if i == len(parts)-1 && !follow || part == "." {
			break
		}
		info, err := at.Stat(part, pdk.WithLink)
		if err != nil {
			return "", err
		}
		if kinds[info.Mode>>12&15] == kindSymlink {
			if path.IsAbs(info.Link) {
				return "", syscall.EPERM
			}
			next := path.Join(append(append(parts[:i:i], info.Link), parts[i+1:]...)...)
			if next == ".." || strings.HasPrefix(next, "../") {
				return "", syscall.EPERM
			}
			return next, nil
		}
		if i == len(parts)-1 {
			break
		}
		down, err := at.Walk(part)
		if err != nil {
			return "", err
		}
		d.leave(at)
		at = down
	}
	return "", nil
}

// in calls f with the folder that a name is in, and its name there.
func (d servedDisk) in(name string, follow bool, f func(folder *pdk.Folder, name string) error) error {
	folder, last, err := d.walk(name, follow)
	if err == nil {
		err = f(folder, last)
		d.leave(folder)
	}
	return err
}

func (d servedDisk) stat(name string, follow bool) (info fs.FileInfo, err error) {
	err = d.in(name, follow, func(folder *pdk.Folder, name string) error {
		i, err := folder.Stat(name, 0)
		info = fileInfo{i}
		return err
	})
	return info, err
}

func (d servedDisk) Stat(name string) (fs.FileInfo, error)  { return d.stat(name, true) }
func (d servedDisk) Lstat(name string) (fs.FileInfo, error) { return d.stat(name, false) }

// Mkdir has the folder removed again if the guest is stopped.
func (d servedDisk) Mkdir(name string, perm fs.FileMode) error {
	return d.in(name, false, func(folder *pdk.Folder, name string) error {
		err := folder.Mkdir(name, uint32(perm.Perm()))
		if err == nil {
			_ = folder.Undo(name)
		}
		return err
	})
}

func (d servedDisk) Chmod(name string, perm fs.FileMode) error {
	return d.in(name, false, func(folder *pdk.Folder, name string) error { return folder.Chmod(name, uint32(perm.Perm())) })
}

func (d servedDisk) Remove(name string) error {
	return d.in(name, false, func(folder *pdk.Folder, name string) error { return folder.Remove(name) })
}

// Link has the new name removed again if the guest is stopped.
func (d servedDisk) Link(name, as string) error {
	return d.move(name, as, func(folder *pdk.Folder, name string, to *pdk.Folder, as string) error {
		err := folder.Link(name, to, as)
		if err == nil {
			_ = to.Undo(as)
		}
		return err
	})
}

func (d servedDisk) Rename(name, as string) error {
	return d.move(name, as, (*pdk.Folder).Rename)
}

func (d servedDisk) move(name, as string, f func(folder *pdk.Folder, name string, to *pdk.Folder, as string) error) error {
	return d.in(name, false, func(folder *pdk.Folder, name string) error {
		return d.in(as, false, func(to *pdk.Folder, as string) error { return f(folder, name, to, as) })
	})
}

// create has the file removed if the guest is stopped.
func (d servedDisk) create(name string) (f blobFile, err error) {
	err = d.in(name, false, func(folder *pdk.Folder, name string) error {
		opened, err := folder.Create(name)
		if err == nil {
			_ = folder.Undo(name)
			f, err = newServedBlob(opened)
		}
		return err
	})
	return f, err
}

func (d servedDisk) open(name string) (f blobFile, err error) {
	err = d.in(name, true, func(folder *pdk.Folder, name string) error {
		opened, err := folder.Open(name)
		if err == nil {
			f, err = newServedBlob(opened)
		}
		return err
	})
	return f, err
}

func (d servedDisk) list(folder string) (list []fs.DirEntry, err error) {
	err = d.in(path.Join(folder, "x"), false, func(folder *pdk.Folder, _ string) error {
		return folder.List(0, func(i pdk.FileInfo) error {
			if i.Err == nil {
				list = append(list, fs.FileInfoToDirEntry(fileInfo{i}))
			} else if !errors.Is(i.Err, fs.ErrNotExist) {
				return i.Err
			}
			return nil
		})
	})
	return list, err
}

func (d servedDisk) sync(folder string) error {
	return d.in(path.Join(folder, "x"), false, func(folder *pdk.Folder, _ string) error { return folder.Sync() })
}

func (d servedDisk) room() (free, all int64, err error) {
	_, f, a, err := d.base.Space()
	return int64(f), int64(a), err
}

// A fileInfo is what the service tells, as io/fs has it.
type fileInfo struct{ i pdk.FileInfo }

func (f fileInfo) Name() string       { return f.i.Name }
func (f fileInfo) Size() int64        { return f.i.Size }
func (f fileInfo) ModTime() time.Time { return time.Unix(f.i.Mtime.Sec, int64(f.i.Mtime.Nsec)) }
func (f fileInfo) IsDir() bool        { return f.Mode().IsDir() }
func (f fileInfo) Sys() any           { return nil }

func (f fileInfo) Mode() fs.FileMode {
	return fs.FileMode(f.i.Mode&0o777) | modes[kinds[f.i.Mode>>12&15]]
}

// modes is never written to.
var modes = map[byte]fs.FileMode{
	kindFile: 0, kindFolder: fs.ModeDir, kindSymlink: fs.ModeSymlink, kindFifo: fs.ModeNamedPipe,
	kindChar: fs.ModeDevice | fs.ModeCharDevice, kindBlock: fs.ModeDevice, kindSocket: fs.ModeSocket,
	kindUnknown: fs.ModeIrregular,
}

func sameFile(a, b fs.FileInfo) bool {
	x, ok := a.(fileInfo)
	y, ok2 := b.(fileInfo)
	if ok && ok2 {
		return x.i.Dev == y.i.Dev && x.i.Ino == y.i.Ino
	}
	return os.SameFile(a, b)
}

// A servedBlob is an open file of a servedDisk. pdk.Copy has the host move
// its content.
type servedBlob struct {
	*pdk.File
	size int64     // when it was opened
	disk io.Closer // nil unless it is being read
}

func newServedBlob(f *pdk.File) (blobFile, error) {
	info, err := f.Stat(0)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &servedBlob{File: f, size: info.Size}, nil
}

func (b *servedBlob) Stat() (fs.FileInfo, error) {
	i, err := b.File.Stat(0)
	return fileInfo{i}, err
}

func (b *servedBlob) Chmod(perm fs.FileMode) error { return b.File.Chmod(uint32(perm.Perm())) }

func (b *servedBlob) lock() error { return b.Lock() }

func (b *servedBlob) writeback(int64, int64) {}

func (b *servedBlob) readAhead() { _ = b.Sequential() }

// absorb has the host write the blob.
func (b *servedBlob) absorb(r *stream.Reader, limit int64) (int64, error) {
	_ = b.WillWrite()
	if err := r.Done(); err != nil {
		return 0, err
	}
	n, err := pdk.CopyN(b.File, r.R, limit)
	if err != nil && err != io.EOF {
		err = worded(err)
	}
	return n, err
}

// blob is the file itself, so that its content need not enter the guest.
func (b *servedBlob) blob(d disk) io.ReadCloser {
	b.disk = d
	b.readAhead()
	return b
}

// Close tells whether a blob that was read is as long as it was.
func (b *servedBlob) Close() error {
	if b.disk == nil {
		return b.File.Close()
	}
	info, err := b.Stat()
	if err == nil && info.Size() < b.size {
		err = io.ErrUnexpectedEOF // cut short by somebody else
	}
	return errors.Join(err, b.File.Close(), b.disk.Close())
}
