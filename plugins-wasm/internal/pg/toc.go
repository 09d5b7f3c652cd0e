package pg

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shieldhq/shield"
)

// An Entry is one line of a table of contents: an object of the database.
type Entry struct {
	ID         int32
	Data       bool // has a block of data
	Tag, Desc  string
	Definition string
	Namespace  string
	Owner      string
}

// A TOC is the beginning of an archive of pg_dump -Fc: header and table of
// contents.
type TOC struct {
	Format      string // like 1.14
	Compressed  bool
	Database    string
	ServerText  string // version of the server it was taken from
	ToolText    string // version of pg_dump
	Entries     int
	Tables      int     // tables with a definition
	Data        []int32 // entries with data
	TableData   map[int32]bool
	About       []Entry // the database itself: definition, properties, rights, comment
	Owners      map[string]bool
	intSize     int
	offsetSize  int
	major, minr int
}

// Magic begins an archive of pg_dump -Fc.
const Magic = "PGDMP"

// errFuture is for a format that this code does not know.
var errFuture = errors.New("is newer than what this plugin knows")

// textLimit bounds one text of a table of contents.
const textLimit = 256 << 20

// tocReader reads the numbers and texts of an archive. The first error stays.
type tocReader struct {
	r       *bufio.Reader
	intSize int
	err     error
}

func (t *tocReader) byte() byte {
	if t.err != nil {
		return 0
	}
	b, err := t.r.ReadByte()
	t.fail(err)
	return b
}

func (t *tocReader) fail(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if t.err == nil {
		t.err = err
	}
}

// int reads a sign and a number, its least byte first.
func (t *tocReader) int() int {
	negative := t.byte() != 0
	var b [8]byte
	if t.err == nil {
		_, err := io.ReadFull(t.r, b[:t.intSize])
		t.fail(err)
	}
	n := int(binary.LittleEndian.Uint64(b[:]))
	if negative {
		return -n
	}
	return n
}

// text reads a text; ok is false for none.
func (t *tocReader) text() (s string, ok bool) {
	n := t.int()
	if t.err != nil || n < 0 {
		return "", false
	}
	if n > textLimit {
		t.fail(fmt.Errorf("a text has %d bytes", n))
		return "", false
	}
	var b strings.Builder
	_, err := io.CopyN(&b, t.r, int64(n))
	t.fail(err)
	return b.String(), true
}

func (t *tocReader) str() string { s, _ := t.text(); return s }

// ReadTOC reads the beginning of an archive of pg_dump -Fc. It reads no
// further than r buffers. An error is Corrupt, or Invalid for a format that
// is newer than this code.
func ReadTOC(r *bufio.Reader) (*TOC, error) {
	t := &tocReader{r: r, intSize: 4}
	c, err := readTOC(t)
	if errors.Is(err, errFuture) {
		return c, shield.Errorf(shield.Invalid, "", "the format %s of the archive %w", c.Format, err)
	}
	if err != nil {
		return c, shield.Errorf(shield.Corrupt, "", "this is no whole archive of pg_dump: its table of contents: %w", err)
	}
	return c, nil
}

func readTOC(t *tocReader) (*TOC, error) {
	c := &TOC{TableData: map[int32]bool{}, Owners: map[string]bool{}}
	magic := make([]byte, len(Magic))
	if _, err := io.ReadFull(t.r, magic); err != nil || string(magic) != Magic {
		return c, fmt.Errorf("it begins with %q, not with %q", magic, Magic)
	}
	c.major, c.minr = int(t.byte()), int(t.byte())
	rev := int(t.byte())
	c.Format = fmt.Sprintf("%d.%d-%d", c.major, c.minr, rev)
	c.intSize, c.offsetSize = int(t.byte()), int(t.byte())
	format := t.byte()
	switch {
	case t.err != nil:
		return c, t.err
	case c.major != 1 || c.minr > 16:
		return c, errFuture
	case c.minr < 12:
		return c, fmt.Errorf("the format %s is older than PostgreSQL 9.0", c.Format)
	case c.intSize < 1 || c.intSize > 8 || c.offsetSize < 1 || c.offsetSize > 8 || format != 1:
		return c, errors.New("the header makes no sense")
	}
	t.intSize = c.intSize
	if c.minr >= 15 {
		c.Compressed = t.byte() != 0
	} else {
		c.Compressed = t.int() != 0
	}
	for range 7 { // the time
		t.int()
	}
	c.Database, c.ServerText, c.ToolText = t.str(), t.str(), t.str()
	count := t.int()
	for n := 0; n < count && t.err == nil; n++ {
		e := c.entry(t)
		if t.err == nil {
			c.add(&e)
		}
	}
	if t.err == nil && count < 0 {
		return c, errors.New("it has less than no entries")
	}
	return c, t.err
}

// entry reads an entry.
func (c *TOC) entry(t *tocReader) Entry {
	e := Entry{ID: int32(t.int()), Data: t.int() != 0}
	t.str() // tableoid
	t.str() // oid
	e.Tag, e.Desc = t.str(), t.str()
	t.int() // section
	e.Definition = t.str()
	t.str() // drop statement
	t.str() // copy statement
	e.Namespace = t.str()
	t.str() // tablespace
	if c.minr >= 14 {
		t.str() // access method
	}
	if c.minr >= 16 {
		t.int() // kind
	}
	e.Owner = t.str()
	t.str() // with oids
	for t.err == nil {
		if _, more := t.text(); !more { // dependencies
			break
		}
	}
	_, err := t.r.Discard(1 + c.offsetSize) // where the data is
	t.fail(err)
	return e
}

// add takes note of an entry.
func (c *TOC) add(e *Entry) {
	c.Entries++
	if e.Data {
		c.Data = append(c.Data, e.ID)
	}
	if e.Owner != "" {
		c.Owners[e.Owner] = true
	}
	switch {
	case e.Desc == "TABLE":
		c.Tables++
	case e.Desc == "TABLE DATA":
		c.TableData[e.ID] = true
	case e.Desc == "DATABASE", e.Desc == "DATABASE PROPERTIES", strings.HasPrefix(e.Tag, "DATABASE "):
		c.About = append(c.About, *e)
	}
}
