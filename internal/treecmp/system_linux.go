package treecmp

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// system compares what only the system's own calls show.
func (c *comparison) system(a, b *os.Root, name, full string, infoA, infoB fs.FileInfo) error {
	stA, okA := infoA.Sys().(*syscall.Stat_t)
	stB, okB := infoB.Sys().(*syscall.Stat_t)
	if !okA || !okB {
		return fmt.Errorf("%q: the system gives no details", full)
	}
	if stA.Uid != stB.Uid || stA.Gid != stB.Gid {
		c.differ(full, "owner is %d:%d and %d:%d", stA.Uid, stA.Gid, stB.Uid, stB.Gid)
	}
	if stA.Rdev != stB.Rdev {
		c.differ(full, "device is %x and %x", stA.Rdev, stB.Rdev)
	}
	if !infoA.IsDir() {
		c.links(full, stA, stB)
	}
	return c.attributes(a, b, name, full)
}

func (c *comparison) links(full string, stA, stB *syscall.Stat_t) {
	if stA.Nlink == 1 && stB.Nlink == 1 {
		return
	}
	firstA := first(c.linksA, inode{uint64(stA.Dev), stA.Ino}, full)
	firstB := first(c.linksB, inode{uint64(stB.Dev), stB.Ino}, full)
	if firstA != firstB {
		c.differ(full, "is the same file as %q and %q", firstA, firstB)
	}
}

func first(known map[inode]string, id inode, name string) string {
	if known[id] == "" {
		known[id] = name
	}
	return known[id]
}

func (c *comparison) attributes(a, b *os.Root, name, full string) error {
	attrsA, err := attributes(a, name)
	if err != nil {
		return fmt.Errorf("%q: %w", full, err)
	}
	attrsB, err := attributes(b, name)
	if err != nil {
		return fmt.Errorf("%q: %w", full, err)
	}
	for _, key := range slices.Sorted(maps.Keys(attrsA)) {
		value := attrsA[key]
		if other, ok := attrsB[key]; !ok || !bytes.Equal(value, other) {
			c.differ(full, "attribute %s is %.100q and %.100q", key, value, other)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(attrsB)) {
		value := attrsB[key]
		if _, ok := attrsA[key]; !ok {
			c.differ(full, "attribute %s is missing and %.100q", key, value)
		}
	}
	return nil
}

// attributes reads extended attributes through the folder's descriptor, which
// works for symlinks and for paths of any length.
func attributes(r *os.Root, name string) (map[string][]byte, error) {
	f, err := r.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file := fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), name)
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(file, buf)
	if err == unix.EOPNOTSUPP || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, key := range strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(file, key, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out[key] = value[:n]
	}
	return out, nil
}
