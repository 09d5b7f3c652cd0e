package wasmhost

import (
	"github.com/tetratelabs/wazero/experimental/sys"
	wasi "github.com/tetratelabs/wazero/sys"
)

// An absentFolder stands for the folder of a mount that cannot be opened, most
// often since it does not exist yet. Without it the guest would not see the
// mount at all, nor those that follow. Using it tells the real error, until
// the folder is there.
type absentFolder struct {
	sys.DirFile
	m    *mount
	real sys.File
}

var _ sys.File = (*absentFolder)(nil)

// folder returns the folder once it is there.
func (a *absentFolder) folder() (sys.File, sys.Errno) {
	if a.real == nil {
		f, e := a.m.OpenFile(".", sys.O_RDONLY, 0)
		if e != 0 {
			return nil, e
		}
		a.real = f
	}
	return a.real, 0
}

// IsDir implements sys.File.
func (a *absentFolder) IsDir() (bool, sys.Errno) { return true, 0 }

// Dev implements sys.File.
func (a *absentFolder) Dev() (uint64, sys.Errno) {
	f, e := a.folder()
	if e != 0 {
		return 0, e
	}
	return f.Dev()
}

// Ino implements sys.File.
func (a *absentFolder) Ino() (wasi.Inode, sys.Errno) {
	f, e := a.folder()
	if e != 0 {
		return 0, e
	}
	return f.Ino()
}

// Stat implements sys.File.
func (a *absentFolder) Stat() (wasi.Stat_t, sys.Errno) {
	f, e := a.folder()
	if e != 0 {
		return wasi.Stat_t{}, e
	}
	return f.Stat()
}

// Seek implements sys.File.
func (a *absentFolder) Seek(offset position, whence int) (int64, sys.Errno) {
	f, e := a.folder()
	if e != 0 {
		return 0, e
	}
	return f.Seek(offset, whence)
}

// Readdir implements sys.File.
func (a *absentFolder) Readdir(n int) ([]sys.Dirent, sys.Errno) {
	f, e := a.folder()
	if e != 0 {
		return nil, e
	}
	return f.Readdir(n)
}

// Sync implements sys.File.
func (a *absentFolder) Sync() sys.Errno {
	f, e := a.folder()
	if e != 0 {
		return e
	}
	return f.Sync()
}

// Datasync implements sys.File.
func (a *absentFolder) Datasync() sys.Errno { return a.Sync() }

// Utimens implements sys.File.
func (a *absentFolder) Utimens(atim, mtim int64) sys.Errno { return a.m.Utimens(".", atim, mtim) }

// Close implements sys.File.
func (a *absentFolder) Close() sys.Errno {
	if a.real == nil {
		return 0
	}
	return a.real.Close()
}
