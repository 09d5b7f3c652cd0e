package fs

import "fmt"

// counts is what a backup or a restore handled.
type counts struct {
	files, folders, links, others int
	bytes                         int64
}

// String returns "123 files, 4 folders, 5.1 MiB".
func (c *counts) String() string {
	s := plural(c.files, "file", "files") + ", " + plural(c.folders, "folder", "folders")
	if c.links > 0 {
		s += ", " + plural(c.links, "hard link", "hard links")
	}
	if c.others > 0 {
		s += ", " + plural(c.others, "other", "others")
	}
	return s + ", " + size(c.bytes)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func size(n int64) string {
	if n < 1024 {
		return plural(int(n), "byte", "bytes")
	}
	f, unit := float64(n)/1024, 0
	for ; f >= 1023.95 && unit < 4; unit++ {
		f /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[unit])
}
