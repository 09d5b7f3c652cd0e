package fs

import (
	"errors"
	"time"
)

// handleLimit is how many folders of one path are held open.
const handleLimit = 128

// The kinds of files, as tar writes them. Sockets have none there.
const (
	kindFile    = '0'
	kindLink    = '1' // another name of a file that came before
	kindSymlink = '2'
	kindChar    = '3'
	kindBlock   = '4'
	kindFolder  = '5'
	kindFifo    = '6'
	kindSocket  = 's'
	kindUnknown = 0
)

// A stamp is a time as the system keeps it; a time.Time would cost more to
// compare and to print.
type stamp struct {
	sec  int64
	nsec int64
}

func stampOf(t time.Time) stamp { return stamp{t.Unix(), int64(t.Nanosecond())} }

func (t stamp) before(u stamp) bool { return t.sec < u.sec || t.sec == u.sec && t.nsec < u.nsec }

// An inode identifies a file on this machine.
type inode struct{ dev, ino uint64 }

// A stat is what the system tells of a file.
type stat struct {
	kind         byte
	mode         uint32 // the twelve bits of chmod(2)
	uid, gid     int
	size, blocks int64 // blocks of 512 bytes; -1 where unknown
	mtime        stamp
	id           inode
	links        uint64
	major, minor uint32
}

// A dirent is an entry of a folder; its kind may be kindUnknown.
type dirent struct {
	name string
	kind byte
}

// An attr is an extended attribute.
type attr struct {
	key   string
	value []byte
}

// An extent is a run of data in a file with holes.
type extent struct{ off, size int64 }

// holed reports whether the runs of a file leave anything out.
func holed(list []extent, size int64) bool { return len(list) != 1 || list[0] != extent{0, size} }

// errUnsupported is returned where the system, or this build, lacks
// something.
var errUnsupported = errors.ErrUnsupported
