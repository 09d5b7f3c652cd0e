package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// sameContent compares the names and bytes of all regular files below two
// folders, both ways.
func sameContent(source, restored string) error {
	var buf [2][64 << 10]byte
	files := 0
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		rel, err := filepath.Rel(source, path)
		if err != nil {
			return err
		}
		return sameFile(path, filepath.Join(restored, rel), buf[0][:], buf[1][:])
	})
	if err != nil {
		return err
	}
	_, n, err := treeSize(restored)
	if err == nil && n != files {
		return fmt.Errorf("%d files were restored, not %d", n, files)
	}
	return err
}

func sameFile(a, b string, bufA, bufB []byte) error {
	fa, err := os.Open(a)
	if err != nil {
		return err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return err
	}
	defer fb.Close()
	for {
		na, errA := io.ReadFull(fa, bufA)
		nb, errB := io.ReadFull(fb, bufB)
		if !bytes.Equal(bufA[:na], bufB[:nb]) {
			return fmt.Errorf("%s was not restored as it was", a)
		}
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return err
			}
		}
		if errA != nil {
			return nil // shorter than asked for, and equal: both ended
		}
	}
}
