// Package treecmp compares two trees of files in everything that a backup is
// to keep.
package treecmp

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// Compare returns the differences between the trees below the folders a and
// b, a line each: bytes, modes, owners, times of modification, targets of
// symlinks, device numbers, extended attributes, and which names belong to
// one file. Sockets are passed over, since no archive keeps them. The error
// is for what could not be compared.
func Compare(a, b string) ([]string, error) {
	rootA, err := os.OpenRoot(a)
	if err != nil {
		return nil, err
	}
	defer rootA.Close()
	rootB, err := os.OpenRoot(b)
	if err != nil {
		return nil, err
	}
	defer rootB.Close()
	c := &comparison{linksA: map[inode]string{}, linksB: map[inode]string{}}
	if err := c.entry(rootA, rootB, ".", "."); err != nil {
		return c.found, err
	}
	return c.found, c.folder(rootA, rootB, ".")
}

type inode struct{ dev, ino uint64 }

type comparison struct {
	found          []string
	linksA, linksB map[inode]string // the first name of each file
}

func (c *comparison) differ(name, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%q: ", name)+fmt.Sprintf(format, args...))
}

// folder compares what is in two folders. It goes down a name at a time, so
// that paths may be longer than the system allows.
func (c *comparison) folder(a, b *os.Root, at string) error {
	inA, err := names(a)
	if err != nil {
		return err
	}
	inB, err := names(b)
	if err != nil {
		return err
	}
	for _, name := range inB {
		if _, found := slices.BinarySearch(inA, name); !found {
			c.differ(path.Join(at, name), "is in the second tree only")
		}
	}
	for _, name := range inA {
		full := path.Join(at, name)
		if _, found := slices.BinarySearch(inB, name); !found {
			c.differ(full, "is in the first tree only")
			continue
		}
		if err := c.entry(a, b, name, full); err != nil {
			return err
		}
		if err := c.below(a, b, name, full); err != nil {
			return err
		}
	}
	return nil
}

func (c *comparison) below(a, b *os.Root, name, full string) error {
	infoA, err := a.Lstat(name)
	if err != nil || !infoA.IsDir() {
		return err
	}
	infoB, err := b.Lstat(name)
	if err != nil || !infoB.IsDir() {
		return err
	}
	subA, err := a.OpenRoot(name)
	if err != nil {
		return err
	}
	defer subA.Close()
	subB, err := b.OpenRoot(name)
	if err != nil {
		return err
	}
	defer subB.Close()
	return c.folder(subA, subB, full)
}

// names returns what is in a folder, sorted, without sockets.
func names(r *os.Root) ([]string, error) {
	f, err := r.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	var list []string
	for _, e := range entries {
		if e.Type() != fs.ModeSocket {
			list = append(list, e.Name())
		}
	}
	slices.Sort(list)
	return list, err
}

// entry compares two files of one name.
func (c *comparison) entry(a, b *os.Root, name, full string) error {
	infoA, err := a.Lstat(name)
	if err != nil {
		return err
	}
	infoB, err := b.Lstat(name)
	if err != nil {
		return err
	}
	if infoA.Mode() != infoB.Mode() {
		c.differ(full, "mode is %v and %v", infoA.Mode(), infoB.Mode())
	}
	if infoA.Mode().Type() != infoB.Mode().Type() {
		return nil
	}
	if !infoA.ModTime().Equal(infoB.ModTime()) {
		const layout = "2006-01-02 15:04:05.999999999"
		c.differ(full, "time is %s and %s", infoA.ModTime().UTC().Format(layout), infoB.ModTime().UTC().Format(layout))
	}
	if err := c.system(a, b, name, full, infoA, infoB); err != nil {
		return err
	}
	switch {
	case infoA.Mode().IsRegular():
		return c.bytes(a, b, name, full, infoA.Size(), infoB.Size())
	case infoA.Mode()&fs.ModeSymlink != 0:
		return c.targets(a, b, name, full)
	}
	return nil
}

func (c *comparison) targets(a, b *os.Root, name, full string) error {
	targetA, err := a.Readlink(name)
	if err != nil {
		return err
	}
	targetB, err := b.Readlink(name)
	if err == nil && targetA != targetB {
		c.differ(full, "target is %q and %q", targetA, targetB)
	}
	return err
}

func (c *comparison) bytes(a, b *os.Root, name, full string, sizeA, sizeB int64) error {
	if sizeA != sizeB {
		c.differ(full, "size is %d and %d", sizeA, sizeB)
		return nil
	}
	fileA, err := a.Open(name)
	if err != nil {
		return err
	}
	defer fileA.Close()
	fileB, err := b.Open(name)
	if err != nil {
		return err
	}
	defer fileB.Close()
	at, err := firstDifference(fileA, fileB)
	if at >= 0 {
		c.differ(full, "bytes differ from %d on", at)
	}
	return err
}

// firstDifference returns where two files differ, or -1.
func firstDifference(a, b io.Reader) (int64, error) {
	bufA, bufB := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			i := 0
			for i < min(n, m) && bufA[i] == bufB[i] {
				i++
			}
			return at + int64(i), nil
		}
		at += int64(n)
		for _, err := range []error{errA, errB} {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return -1, nil
			}
			if err != nil {
				return -1, err
			}
		}
	}
}
