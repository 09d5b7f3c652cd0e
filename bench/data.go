package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A set is one kind of data, made anew by each run and the same in each.
type set struct {
	name, about string
	make        func(dir string) error
}

func (b *bench) sets() []set {
	return []set{
		{"text", "a database dump in text", func(dir string) error { return oneFile(dir, "dump.sql", newDump(1), b.size) }},
		{"random", "incompressible", func(dir string) error { return oneFile(dir, "random.bin", newNoise(2), b.size) }},
		{"tree", "files of log-normal sizes, 60 % text and 40 % incompressible", func(dir string) error { return makeTree(dir, b.files, b.size, 3) }},
	}
}

func oneFile(dir, name string, content io.Reader, size int64) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, name), content, size)
}

func writeFile(path string, content io.Reader, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, content, size)
	return errors.Join(err, f.Close())
}

// newNoise returns bytes that no program can compress.
func newNoise(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// filesPerFolder is the mean of a tree.
const filesPerFolder = 20

// makeTree makes files that are size bytes together, in nested folders.
func makeTree(dir string, files int, size int64, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	folders, err := makeFolders(dir, 1+files/filesPerFolder, rng)
	if err != nil {
		return err
	}
	text, noise := newDump(seed), newNoise(byte(seed))
	for i, n := range fileSizes(files, size, rng) {
		content, ext := text, "txt"
		if rng.IntN(10) >= 6 {
			content, ext = noise, "bin"
		}
		name := fmt.Sprintf("file-%05d.%s", i, ext)
		if err := writeFile(filepath.Join(folders[rng.IntN(len(folders))], name), content, n); err != nil {
			return err
		}
	}
	return nil
}

// makeFolders makes n folders, each in one that was there before.
func makeFolders(dir string, n int, rng *rand.Rand) ([]string, error) {
	folders := []string{dir}
	for i := 1; i < n; i++ {
		folders = append(folders, filepath.Join(folders[rng.IntN(len(folders))], fmt.Sprintf("folder-%04d", i)))
	}
	for _, f := range folders {
		if err := os.Mkdir(f, 0o755); err != nil {
			return nil, err
		}
	}
	return folders, nil
}

// fileSizes draws log-normal sizes that sum up to a total: most files are
// far smaller than the mean, and a few hold much of the bytes.
func fileSizes(files int, total int64, rng *rand.Rand) []int64 {
	drawn := make([]float64, files)
	var sum float64
	for i := range drawn {
		drawn[i] = math.Exp(1.7 * rng.NormFloat64())
		sum += drawn[i]
	}
	sizes := make([]int64, files)
	left := total
	for i := range sizes[1:] {
		sizes[i+1] = int64(drawn[i+1] / sum * float64(total))
		left -= sizes[i+1]
	}
	sizes[0] = left
	return sizes
}

// byteSize is a flag like 64MiB.
type byteSize int64

func (s *byteSize) String() string { return strconv.FormatInt(int64(*s), 10) }

func (s *byteSize) Set(v string) error {
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if digits, ok := strings.CutSuffix(v, unit); ok {
			n, err := strconv.ParseInt(digits, 10, 32)
			*s = byteSize(n << (10 * (i + 1)))
			return err
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	*s = byteSize(n)
	return err
}
