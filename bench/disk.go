package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// room is how many times the size of a set the working folder needs: twice
// the size once, in the memory test, with its archive and what is restored.
const room = 8

// workIn makes the working folder: in dir if that is given, else on a RAM
// disk that has room, else where temporary files go.
func (b *bench) workIn(dir string) (err error) {
	b.disk = dir
	if dir == "" {
		dir, b.disk = "/dev/shm", "RAM disk"
		if free := min(freeSpace(dir), freeMemory()); free < room*b.size {
			dir = os.TempDir()
			b.disk = fmt.Sprintf("%s, since the RAM disk has %d MiB free and not %d", dir, free>>20, room*b.size>>20)
		}
	}
	fmt.Fprintln(os.Stderr, "working on:", b.disk)
	b.dir, err = os.MkdirTemp(dir, "shield-bench-")
	return err
}

func freeSpace(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0
	}
	return int64(st.Bavail) * int64(st.Bsize)
}

// freeMemory is what the system could still give out.
func freeMemory() int64 {
	kib, _, _ := strings.Cut(procValue("/proc/meminfo", "MemAvailable"), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// procValue returns the first value of a key in a file of lines "key: value".
func procValue(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// warm reads all files once, so that they are in the page cache.
func warm(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	})
}

// touch fills a file with zeros and removes it.
func touch(path string, size int64) error {
	return errors.Join(writeFile(path, zeros{}, size), os.Remove(path))
}

// zeros is an endless reader of them.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
