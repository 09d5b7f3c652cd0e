//go:build !portable

package wasmhost

import (
	"encoding/binary"
	"os/user"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// owner tells the name of a user, or of a group: the guest has no list of
// them. One without a name has the empty one.
func (s *service) owner(r *request, a *answer) error {
	group, id := r.u32() != 0, strconv.FormatUint(uint64(r.u32()), 10)
	name := ""
	if group {
		if g, err := user.LookupGroupId(id); err == nil {
			name = g.Name
		}
	} else if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	a.text(name)
	return nil
}

// listEntries tells of the entries in what getdents gave.
func listEntries(a *answer, fd int, b []byte, flags byte) {
	const nameAt = unsafe.Offsetof(unix.Dirent{}.Name)
	for len(b) > 0 {
		size := binary.NativeEndian.Uint16(b[unsafe.Offsetof(unix.Dirent{}.Reclen):])
		name := unix.ByteSliceToString(b[nameAt:size])
		kind := uint32(b[unsafe.Offsetof(unix.Dirent{}.Type)]) << 12 // as in st_mode
		b = b[size:]
		switch {
		case name == "." || name == "..":
		case flags&namesOnly != 0:
			a.u32(kind)
			a.text(name)
		default:
			describeEntry(a, subject{fd, name}, flags)
		}
	}
}
