package dockerpg

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
)

// The names of the members of a stream: the containers first, then the dump
// of each, in pieces, since a tar stream has to say beforehand how long a
// member is and nobody knows that of a dump.
const (
	listMember = "containers.json"
	dumpFolder = "/cluster.sql/"
	pieceSize  = 4 << 20
	listLimit  = 64 << 20
)

// pieces writes a dump as members of a tar stream.
type pieces struct {
	t      *tar.Writer
	name   string // of the container
	number int
	buf    []byte
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	total := len(b)
	for len(b) > 0 {
		n := min(len(b), pieceSize-len(p.buf))
		p.buf, b = append(p.buf, b[:n]...), b[n:]
		if len(p.buf) == pieceSize {
			if err := p.flush(); err != nil {
				return total - len(b), err
			}
		}
	}
	return total, nil
}

// flush ends a piece.
func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	err := writeMember(p.t, fmt.Sprintf("%s%s%08d", p.name, dumpFolder, p.number), p.buf)
	p.number, p.buf = p.number+1, p.buf[:0]
	return err
}

func writeMember(t *tar.Writer, name string, content []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := t.Write(content)
	return err
}

// A reader reads the members of a stream. It reads no further than it has to,
// so that pdk.Copy can move what is in them.
type reader struct {
	r    io.Reader
	name string // of the current member
	left int64  // of its content
	pad  int64
	end  bool
}

func damaged(format string, args ...any) error {
	return shield.Errorf(shield.Corrupt, "", "this is no whole dump of containers: "+format, args...)
}

// next goes to the next member; it returns io.EOF at the end of the stream.
func (r *reader) next() error {
	if r.end {
		return io.EOF
	}
	if _, err := pdk.CopyN(io.Discard, r.r, r.left+r.pad); err != nil {
		return cut(err)
	}
	r.left, r.pad = 0, 0
	block := make([]byte, 512)
	if _, err := io.ReadFull(r.r, block); err != nil {
		return cut(err)
	}
	if bytes.Equal(block, make([]byte, 512)) {
		if _, err := io.ReadFull(r.r, block); err != nil {
			return cut(err)
		}
		n, err := io.Copy(io.Discard, r.r)
		if err != nil {
			return err
		}
		if n > 0 || !bytes.Equal(block, make([]byte, 512)) {
			return damaged("something follows its end")
		}
		r.end = true
		return io.EOF
	}
	return r.header(block)
}

// header takes a header apart. Those that shield writes are plain: names are
// short, and nothing is in another header.
func (r *reader) header(block []byte) error {
	h, err := tar.NewReader(bytes.NewReader(block)).Next()
	if err != nil || h.Typeflag != tar.TypeReg || h.Size < 0 {
		return damaged("a header of the tar stream is not as it was written")
	}
	r.name, r.left, r.pad = h.Name, h.Size, (512-h.Size%512)%512
	return nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends early")
	}
	return err
}

// containers reads the first member.
func (r *reader) containers() ([]*container, error) {
	if err := r.next(); err != nil {
		return nil, err
	}
	if r.name != listMember || r.left > listLimit {
		return nil, damaged("it begins with %q of %d bytes, not with %s", r.name, r.left, listMember)
	}
	text := make([]byte, r.left)
	if _, err := io.ReadFull(r.r, text); err != nil {
		return nil, cut(err)
	}
	r.left = 0
	list, err := parseContainers(text)
	if err != nil {
		return nil, damaged("%w", err)
	}
	if len(list) == 0 {
		return nil, damaged("it has no containers")
	}
	return list, r.next()
}

// dump returns the dump of a container, whose first piece is the current
// member. At its end the next container's first piece is, or the end.
func (r *reader) dump(name string) *dump { return &dump{r: r, prefix: name + dumpFolder} }

type dump struct {
	r      *reader
	prefix string
	number int
	ended  bool
}

// piece goes to the piece that has bytes left.
func (d *dump) piece() error {
	for !d.ended {
		if d.number > 0 && d.r.left > 0 {
			return nil
		}
		if d.number > 0 {
			if err := d.r.next(); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		number, ours := strings.CutPrefix(d.r.name, d.prefix)
		if d.r.end || !ours {
			d.ended = true
			break
		}
		if number != fmt.Sprintf("%08d", d.number) {
			return damaged("piece %d of %s is missing", d.number, d.prefix)
		}
		d.number++
	}
	return io.EOF
}

// Read implements io.Reader.
func (d *dump) Read(p []byte) (int, error) {
	if err := d.piece(); err != nil {
		return 0, err
	}
	n, err := d.r.r.Read(p[:min(int64(len(p)), d.r.left)])
	d.r.left -= int64(n)
	if err != nil && d.r.left > 0 {
		return n, cut(err)
	}
	return n, nil
}

// WriteTo implements io.WriterTo, so that pdk.Copy moves the pieces on the
// host.
func (d *dump) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if err := d.piece(); errors.Is(err, io.EOF) {
			return total, nil
		} else if err != nil {
			return total, err
		}
		n, err := pdk.CopyN(w, d.r.r, d.r.left)
		total, d.r.left = total+n, d.r.left-n
		if errors.Is(err, io.EOF) {
			return total, cut(err)
		}
		if err != nil {
			return total, err
		}
	}
}

// marshal returns the first member of a stream.
func marshal(list []*container) ([]byte, error) {
	raws := make([]json.RawMessage, len(list))
	for n, c := range list {
		raws[n] = c.raw
	}
	return json.MarshalIndent(raws, "", "  ")
}

// buffered is for inspecting, where all bytes are looked at.
func buffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 1<<20) }
