//go:build (unix && !linux) || wasip1 || (linux && portable)

package fs

import (
	"io/fs"
	"syscall"
)

// describe adds what only the system's own structure has.
func describe(st *stat, info fs.FileInfo) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	st.uid, st.gid = int(s.Uid), int(s.Gid)
	st.id = inode{uint64(s.Dev), uint64(s.Ino)}
	st.links = uint64(s.Nlink)
}
