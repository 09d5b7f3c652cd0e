package fs

// A header is what a tar stream says of one file.
type header struct {
	kind         byte
	name         string
	link         string
	mode         uint32
	uid, gid     int
	user, group  string
	size         int64 // of the file; the stream may hold less, see sparse
	mtime        stamp
	major, minor uint32
	attrs        []attr
	sparse       bool
	extents      []extent // of the data, if sparse
	textACL      bool     // has ACLs in a form that we cannot restore
}

const (
	blockSize = 512
	// extentLimit bounds the memory that one file's map of holes takes.
	extentLimit = 1 << 16
)

// padding returns how many bytes follow n to fill its last block.
func padding(n int64) int64 { return -n & (blockSize - 1) }

func total(list []extent) (n int64) {
	for _, x := range list {
		n += x.size
	}
	return n
}
