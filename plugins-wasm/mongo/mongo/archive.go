package mongo

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"strings"
)

// The archive that mongodump writes is a magic number, a header, a document
// for each collection, and a terminator; then blocks: a document that names a
// collection, its documents, a terminator. A block whose first document says
// EOF ends a collection and has the CRC-64 of its documents. There is no mark
// at the end of an archive: it is whole if every collection has its end, and
// so have views, which have no documents.
const (
	magic      = 0x8199e26d
	terminator = 0xffffffff
)

// crcTable is never written to.
var crcTable = crc64.MakeTable(crc64.ECMA)

// A namespace is one collection in an archive.
type namespace struct {
	db, collection string
	kind           string // "view", "timeseries", or empty
	indexes        int64
	documents      int64
	ended          bool
	sum            hash.Hash64
}

// dataName is the collection that the blocks name.
func (n *namespace) dataName() string {
	if n.kind == "timeseries" {
		return "system.buckets." + n.collection
	}
	return n.collection
}

// An archive is what was learnt of one.
type archive struct {
	r      *bufio.Reader
	pos    int64
	buf    []byte
	format string // its version
	server string // version of the server
	tool   string // version of mongodump
	spaces []*namespace
	byName map[string]*namespace
}

// readArchive reads an archive to its end. The error says where it is broken;
// an error of r comes through.
func readArchive(r io.Reader) (*archive, error) {
	a := &archive{r: bufio.NewReaderSize(r, 256<<10), byName: map[string]*namespace{}}
	if err := a.prelude(); err != nil {
		return a, err
	}
	for {
		if _, err := a.r.Peek(1); err == io.EOF {
			return a, a.whole()
		} else if err != nil {
			return a, err
		}
		if err := a.block(); err != nil {
			return a, err
		}
	}
}

// whole reports what is missing at the end.
func (a *archive) whole() error {
	for _, n := range a.spaces {
		if !n.ended {
			return fmt.Errorf("the archive ends before the collection %s.%s does", n.db, n.collection)
		}
	}
	return nil
}

func (a *archive) fill(b []byte) error {
	n, err := io.ReadFull(a.r, b)
	a.pos += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the archive ends too early, after %d bytes", a.pos)
	}
	return err
}

// next returns the next document of a block, nil for its terminator. It is
// valid until the following call.
func (a *archive) next() (document, error) {
	var size [4]byte
	if err := a.fill(size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n == terminator {
		return nil, nil
	}
	if n < 5 || n > documentLimit {
		return nil, fmt.Errorf("a document of %d bytes at byte %d: 5 to %d are right", n, a.pos-4, documentLimit)
	}
	if cap(a.buf) < int(n) {
		a.buf = make([]byte, n, max(int(n), 64<<10))
	}
	a.buf = a.buf[:n]
	copy(a.buf, size[:])
	if err := a.fill(a.buf[4:]); err != nil {
		return nil, err
	}
	if a.buf[n-1] != 0 {
		return nil, fmt.Errorf("the document before byte %d has no end", a.pos)
	}
	return a.buf, nil
}

func (a *archive) prelude() error {
	var first [4]byte
	if err := a.fill(first[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(first[:]) != magic {
		return errors.New("this is not an archive of mongodump: its first bytes are other ones")
	}
	header, err := a.next()
	if err != nil {
		return err
	}
	err = header.fields(func(_ byte, name string, value []byte) {
		switch name {
		case "version":
			a.format = text(value)
		case "server_version":
			a.server = text(value)
		case "tool_version":
			a.tool = text(value)
		}
	})
	if err != nil {
		return fmt.Errorf("the header: %w", err)
	}
	if a.format == "" {
		return errors.New("the header has no version")
	}
	for {
		d, err := a.next()
		if d == nil || err != nil {
			return err
		}
		if err := a.collection(d); err != nil {
			return err
		}
	}
}

// collection takes note of a collection that the archive announces.
func (a *archive) collection(d document) error {
	n := &namespace{sum: crc64.New(crcTable)}
	var metadata string
	err := d.fields(func(_ byte, name string, value []byte) {
		switch name {
		case "db":
			n.db = text(value)
		case "collection":
			n.collection = text(value)
		case "type":
			n.kind = text(value)
		case "metadata":
			metadata = text(value)
		}
	})
	if err != nil {
		return fmt.Errorf("a collection before byte %d: %w", a.pos, err)
	}
	name := n.db + "." + n.dataName()
	if a.byName[name] != nil {
		return fmt.Errorf("the collection %s is there twice", name)
	}
	var m struct {
		Indexes []json.RawMessage `json:"indexes"`
		Options struct {
			ViewOn string `json:"viewOn"`
		} `json:"options"`
	}
	if metadata != "" {
		if err := json.Unmarshal([]byte(metadata), &m); err != nil {
			return fmt.Errorf("the metadata of %s: %w", name, err)
		}
	}
	n.indexes = int64(len(m.Indexes))
	if m.Options.ViewOn != "" && n.kind == "" {
		n.kind = "view"
	}
	a.spaces = append(a.spaces, n)
	a.byName[name] = n
	return nil
}

// block reads one block of documents, or the end of a collection.
func (a *archive) block() error {
	head, err := a.next()
	if err != nil {
		return err
	}
	if head == nil {
		return fmt.Errorf("a block without a collection before byte %d", a.pos)
	}
	n, ends, sum, err := a.blockHead(head)
	if err != nil {
		return err
	}
	for {
		d, err := a.next()
		if err != nil {
			return err
		}
		if d == nil {
			break
		}
		if ends {
			return fmt.Errorf("documents after the end of the collection %s.%s", n.db, n.collection)
		}
		n.documents++
		_, _ = n.sum.Write(d) // a hash takes everything
	}
	if ends && n.sum.Sum64() != sum {
		return fmt.Errorf("the checksum of the collection %s.%s is %016x instead of %016x", n.db, n.collection, n.sum.Sum64(), sum)
	}
	n.ended = ends
	return nil
}

// blockHead reads whose documents follow.
func (a *archive) blockHead(head document) (n *namespace, ends bool, sum uint64, err error) {
	var db, collection string
	err = head.fields(func(kind byte, name string, value []byte) {
		switch {
		case name == "db":
			db = text(value)
		case name == "collection":
			collection = text(value)
		case name == "EOF" && kind == 0x08:
			ends = value[0] == 1
		case name == "CRC" && kind == 0x12:
			sum = binary.LittleEndian.Uint64(value)
		}
	})
	if err != nil {
		return nil, false, 0, fmt.Errorf("the block before byte %d: %w", a.pos, err)
	}
	n = a.byName[db+"."+collection]
	if n == nil {
		return nil, false, 0, fmt.Errorf("the collection %s.%s was not announced", db, collection)
	}
	if n.ended {
		return nil, false, 0, fmt.Errorf("more of the collection %s.%s after its end", db, collection)
	}
	return n, ends, sum, nil
}

// counts are what the archive holds, without what belongs to the server.
func (a *archive) counts() map[string]int64 {
	c := map[string]int64{"databases": 0, "collections": 0, "views": 0, "documents": 0, "indexes": 0}
	seen := map[string]bool{}
	for _, n := range a.spaces {
		if n.db == "admin" || n.db == "config" || n.db == "local" || n.db == "" || strings.HasPrefix(n.collection, "system.") {
			continue
		}
		if !seen[n.db] {
			seen[n.db] = true
			c["databases"]++
		}
		if n.kind == "view" {
			c["views"]++
			continue
		}
		c["collections"]++
		c["documents"] += n.documents
		c["indexes"] += n.indexes
	}
	return c
}
