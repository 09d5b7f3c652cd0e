package xtrabackup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// xbstream, the format that xtrabackup and mariabackup stream in, is a
// sequence of chunks:
//
//	"XBSTCK01"  u8 flags  u8 type  u32 length, path
//
// followed by what the type says. Integers are little-endian. There is no
// mark at the end of a stream: it is whole if every file that it began has
// its end chunk.
//
//	P payload: u64 length, u64 offset, u32 CRC-32 of the payload, payload
//	E end of the file
//	S MariaDB: u64 offset to go on at. Percona: u32 number of entries, u64
//	  length, u64 offset, u32 checksum, the entries of 8 bytes, payload
//	R MariaDB: u32 length, new path
//	D MariaDB: the file is to be removed
const chunkMagic = "XBSTCK01"

// ignorable is the flag of a chunk that readers who do not know its type may
// pass over.
const ignorable = 1

// Limits of what is read into memory.
const (
	pathLimit = 4096
	keepLimit = 64 << 10 // of the content of a small file
	mapLimit  = 1 << 20  // entries of a sparse map
)

// A stream is what was learnt of an xbstream.
type stream struct {
	r    *bufio.Reader
	pos  int64
	open map[string]int64 // files without their end, and where they go on
	done map[string]int64 // files with their end, and their size
	// kept is the content of the files that keep names.
	kept map[string][]byte
	keep func(path string) bool
}

// readStream reads a stream to its end. The error says where it is broken; an
// error of r comes through.
func readStream(r io.Reader, keep func(path string) bool) (*stream, error) {
	s := &stream{
		r: bufio.NewReaderSize(r, 256<<10), keep: keep,
		open: map[string]int64{}, done: map[string]int64{}, kept: map[string][]byte{},
	}
	for {
		if _, err := s.r.Peek(1); err == io.EOF {
			return s, s.whole()
		} else if err != nil {
			return s, err
		}
		if err := s.chunk(); err != nil {
			return s, err
		}
	}
}

// whole reports what is missing at the end of the stream.
func (s *stream) whole() error {
	for path := range s.open {
		return fmt.Errorf("the stream ends within the file %s: %d files lack their end", path, len(s.open))
	}
	if len(s.done) == 0 {
		return errors.New("the stream has no files")
	}
	return nil
}

// fill reads exactly len(b) bytes.
func (s *stream) fill(b []byte) error {
	n, err := io.ReadFull(s.r, b)
	s.pos += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the stream ends within a chunk, after %d bytes", s.pos)
	}
	return err
}

func (s *stream) number(size int) (uint64, error) {
	var b [8]byte
	err := s.fill(b[:size])
	return binary.LittleEndian.Uint64(b[:]), err
}

// text reads a length and a path.
func (s *stream) text() (string, error) {
	n, err := s.number(4)
	if err != nil {
		return "", err
	}
	if n == 0 || n > pathLimit {
		return "", fmt.Errorf("a path of %d bytes before byte %d: 1 to %d are right", n, s.pos, pathLimit)
	}
	b := make([]byte, n)
	if err := s.fill(b); err != nil {
		return "", err
	}
	return string(b), checkPath(string(b))
}

// checkPath refuses what would be written outside of the folder.
func checkPath(path string) error {
	if strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return fmt.Errorf("the path %q is not one inside of a folder", path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return fmt.Errorf("the path %q leads out of its folder", path)
		}
	}
	return nil
}

func (s *stream) chunk() error {
	at := s.pos
	head := make([]byte, len(chunkMagic)+2)
	if err := s.fill(head); err != nil {
		return err
	}
	if string(head[:len(chunkMagic)]) != chunkMagic {
		return fmt.Errorf("no chunk of an xbstream begins at byte %d", at)
	}
	flags, kind := head[len(chunkMagic)], head[len(chunkMagic)+1]
	path, err := s.text()
	if err != nil {
		return err
	}
	if _, ended := s.done[path]; ended && (kind == 'P' || kind == 'S' || kind == 'E') {
		return fmt.Errorf("more of the file %s after its end, at byte %d", path, at)
	}
	switch kind {
	case 'P':
		return s.payload(path, 0)
	case 'E':
		s.done[path] = s.open[path]
		delete(s.open, path)
		return nil
	case 'S':
		return s.gap(path)
	case 'R':
		return s.rename(path)
	case 'D':
		return s.remove(path)
	}
	if flags&ignorable != 0 {
		return s.payload("", 0) // what may be passed over has the form of a payload
	}
	return fmt.Errorf("a chunk of the unknown type %q at byte %d", kind, at)
}

// payload reads the rest of a chunk with data; the path is empty for data of
// no file.
func (s *stream) payload(path string, entries uint64) error {
	var head [20]byte
	if err := s.fill(head[:]); err != nil {
		return err
	}
	length := binary.LittleEndian.Uint64(head[:])
	offset := int64(binary.LittleEndian.Uint64(head[8:]))
	sum := binary.LittleEndian.Uint32(head[16:])
	skipped, err := s.sparseMap(entries)
	if err != nil {
		return err
	}
	if path != "" && offset != s.open[path] {
		return fmt.Errorf("the file %s goes on at %d instead of %d", path, offset, s.open[path])
	}
	got, err := s.data(path, length)
	if err != nil {
		return err
	}
	if entries == 0 && got != sum {
		return fmt.Errorf("the checksum of the chunk of %s before byte %d is %08x instead of %08x", path, s.pos, got, sum)
	}
	if path != "" {
		s.open[path] = offset + int64(length) + skipped
	}
	return nil
}

// data reads the bytes of a payload and returns their checksum.
func (s *stream) data(path string, length uint64) (uint32, error) {
	if length > 1<<62 {
		return 0, fmt.Errorf("a payload of %d bytes before byte %d", length, s.pos)
	}
	sum := crc32.NewIEEE()
	var w io.Writer = sum
	if path != "" && s.keep != nil && s.keep(path) {
		w = io.MultiWriter(sum, &keeper{s.kept, path})
	}
	n, err := io.CopyN(w, s.r, int64(length))
	s.pos += n
	if err == io.EOF {
		err = fmt.Errorf("the stream ends within a chunk, after %d bytes", s.pos)
	}
	return sum.Sum32(), err
}

// A keeper keeps the begin of a file.
type keeper struct {
	kept map[string][]byte
	path string
}

func (k *keeper) Write(p []byte) (int, error) {
	room := max(0, keepLimit-len(k.kept[k.path]))
	k.kept[k.path] = append(k.kept[k.path], p[:min(room, len(p))]...)
	return len(p), nil
}

// sparseMap reads a sparse map and returns how many bytes it skips.
func (s *stream) sparseMap(entries uint64) (skipped int64, err error) {
	if entries > mapLimit {
		return 0, fmt.Errorf("a sparse map of %d entries before byte %d", entries, s.pos)
	}
	for range entries {
		skip, err := s.number(4)
		if err == nil {
			_, err = s.number(4)
		}
		if err != nil {
			return 0, err
		}
		skipped += int64(skip)
	}
	return skipped, nil
}

// gap reads the rest of a chunk of type S, which means one thing to MariaDB
// and another to Percona. MariaDB's has nothing but the offset, so the next
// chunk begins behind it.
func (s *stream) gap(path string) error {
	next, err := s.r.Peek(8 + len(chunkMagic))
	if err != nil && err != io.EOF {
		return err
	}
	if len(next) >= 8 && string(next[8:]) == chunkMagic[:len(next)-8] {
		offset, err := s.number(8)
		if err == nil && (offset > 1<<62 || int64(offset) < s.open[path]) {
			return fmt.Errorf("the file %s goes back from %d to %d", path, s.open[path], offset)
		}
		s.open[path] = int64(offset)
		return err
	}
	entries, err := s.number(4)
	if err != nil {
		return err
	}
	return s.payload(path, entries)
}

func (s *stream) rename(path string) error {
	to, err := s.text()
	if err != nil {
		return err
	}
	size, ok := s.done[path]
	if !ok {
		return fmt.Errorf("the file %s is renamed before its end", path)
	}
	delete(s.done, path)
	s.done[to] = size
	return nil
}

func (s *stream) remove(path string) error {
	if _, ok := s.open[path]; ok {
		return fmt.Errorf("the file %s is removed before its end", path)
	}
	delete(s.done, path)
	return nil
}
