package fs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// writebackSize is how much is written before the disk is told to begin, so
// that the wait at the end is short.
const writebackSize = 16 << 20

func openDisk(base string) (disk, error) { return openRootDisk(base) }

// writeback is a hint: what it cannot do, Sync does.
func (f rootFile) writeback(off, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, size, unix.SYNC_FILE_RANGE_WRITE)
}

func (f rootFile) readAhead() { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_SEQUENTIAL) }

func (f rootFile) lock() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func sameFile(a, b fs.FileInfo) bool { return os.SameFile(a, b) }

func (d rootDisk) room() (free, all int64, err error) {
	f, err := d.Open(".")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}
