package fs

import (
	"os"

	"golang.org/x/sys/unix"
)

// writebackSize is how much is written before the disk is told to begin, so
// that the wait at the end is short.
const writebackSize = 16 << 20

// writeback is a hint: what it cannot do, Sync does.
func writeback(f *os.File, off, size int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, size, unix.SYNC_FILE_RANGE_WRITE)
}

func readAhead(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_SEQUENTIAL)
}

// lock takes a file for us alone, without waiting. The lock ends with the
// descriptor, also when the process is killed.
func lock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// room returns how many bytes are free, and how many there are.
func room(root *os.Root) (free, all int64, err error) {
	f, err := root.Open(".")
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
