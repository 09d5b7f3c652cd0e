package fs

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The headers are written by hand: archive/tar cannot write sparse files and
// takes longer for a header than the system for reading a small file.

// zeros is never written to.
var zeros [2 * blockSize]byte

// encoder turns headers into blocks.
type encoder struct {
	records []byte
}

// append appends the blocks of h to b: an extended header where the plain one
// cannot say all, the header, and the map of a sparse file.
func (e *encoder) append(b []byte, h *header) []byte {
	holes := sparseMap(h)
	size := h.size
	if h.sparse {
		size = int64(len(holes)) + total(h.extents)
	}
	if e.extend(h, size); len(e.records) > 0 {
		ext := header{kind: 'x', name: "PaxHeaders", mode: 0o600, mtime: stamp{sec: max(h.mtime.sec, 0)}}
		b = appendBlock(b, &ext, int64(len(e.records)))
		b = append(b, e.records...)
		b = append(b, zeros[:padding(int64(len(e.records)))]...)
	}
	b = appendBlock(b, h, size)
	return append(b, holes...)
}

// sparseMap is the map of the GNU format 1.0: decimal numbers, a line each,
// padded to a block. The last pair says where the file ends.
func sparseMap(h *header) []byte {
	if !h.sparse {
		return nil
	}
	b := strconv.AppendInt(nil, int64(len(h.extents)+1), 10)
	for _, x := range append(h.extents[:len(h.extents):len(h.extents)], extent{h.size, 0}) {
		b = strconv.AppendInt(append(b, '\n'), x.off, 10)
		b = strconv.AppendInt(append(b, '\n'), x.size, 10)
	}
	b = append(b, '\n')
	return append(b, zeros[:padding(int64(len(b)))]...)
}

const (
	maxOctal7  = 1<<21 - 1 // what seven digits hold
	maxOctal11 = 1<<33 - 1
)

// extend fills records with what the plain header cannot say.
func (e *encoder) extend(h *header, size int64) {
	e.records = e.records[:0]
	if !utf8.ValidString(h.name) || !utf8.ValidString(h.link) {
		e.record("hdrcharset", "BINARY")
	}
	if h.sparse {
		e.record("GNU.sparse.major", "1")
		e.record("GNU.sparse.minor", "0")
		e.record("GNU.sparse.name", h.name)
		e.record("GNU.sparse.realsize", strconv.FormatInt(h.size, 10))
	} else {
		e.text("path", h.name, 100)
	}
	e.text("linkpath", h.link, 100)
	e.text("uname", h.user, 31)
	e.text("gname", h.group, 31)
	e.number("size", size, maxOctal11)
	e.number("uid", int64(h.uid), maxOctal7)
	e.number("gid", int64(h.gid), maxOctal7)
	e.number("SCHILY.devmajor", int64(h.major), maxOctal7)
	e.number("SCHILY.devminor", int64(h.minor), maxOctal7)
	if h.mtime.nsec != 0 || h.mtime.sec < 0 || h.mtime.sec > maxOctal11 {
		e.record("mtime", formatStamp(h.mtime))
	}
	for _, a := range h.attrs {
		// As GNU tar does, since = ends a keyword.
		key := strings.NewReplacer("%", "%25", "=", "%3D").Replace(a.key)
		e.record(attrPrefix+key, string(a.value))
	}
}

const attrPrefix = "SCHILY.xattr."

func (e *encoder) text(key, value string, limit int) {
	if len(value) > limit || !isASCII(value) {
		e.record(key, value)
	}
}

func isASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if (s[0]|s[1]|s[2]|s[3]|s[4]|s[5]|s[6]|s[7])&0x80 != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i]&0x80 != 0 {
			return false
		}
	}
	return true
}

func (e *encoder) number(key string, n, limit int64) {
	if n < 0 || n > limit {
		e.record(key, strconv.FormatInt(n, 10))
	}
}

// record appends "LENGTH key=value\n", where the length counts itself.
func (e *encoder) record(key, value string) {
	rest := len(key) + len(value) + 3
	n := rest + digits(rest)
	if digits(n) > digits(rest) {
		n++
	}
	e.records = strconv.AppendInt(e.records, int64(n), 10)
	e.records = append(e.records, ' ')
	e.records = append(e.records, key...)
	e.records = append(e.records, '=')
	e.records = append(e.records, value...)
	e.records = append(e.records, '\n')
}

func digits(n int) (d int) {
	for ; n > 0; n /= 10 {
		d++
	}
	return d
}

// formatStamp prints seconds with a fraction, which counts away from zero.
func formatStamp(t stamp) string {
	sec, nsec := t.sec, t.nsec
	if sec < 0 && nsec > 0 {
		sec, nsec = sec+1, 1e9-nsec
	}
	var room [40]byte
	b := room[:0]
	if t.sec < 0 && sec == 0 {
		b = append(b, '-')
	}
	b = strconv.AppendInt(b, sec, 10)
	if nsec == 0 {
		return string(b)
	}
	at := len(b)
	b = strconv.AppendInt(b, 1e9+nsec, 10)
	b[at] = '.' // in the place of the 1
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return string(b)
}

// appendBlock appends the header block proper. What does not fit is cut off
// here and repeated in full in the extended header.
func appendBlock(b []byte, h *header, size int64) []byte {
	at := len(b)
	b = append(b, zeros[:blockSize]...)
	p := b[at:]
	copy(p[0:100], h.name)
	octal(p[100:108], int64(h.mode))
	octal(p[108:116], int64(h.uid))
	octal(p[116:124], int64(h.gid))
	octal(p[124:136], size)
	octal(p[136:148], h.mtime.sec)
	p[156] = h.kind
	copy(p[157:257], h.link)
	copy(p[257:265], "ustar\x0000")
	copy(p[265:296], h.user)
	copy(p[297:328], h.group)
	octal(p[329:337], int64(h.major))
	octal(p[337:345], int64(h.minor))
	octal(p[148:156], checksum(p)<<3) // six digits, which leaves two bytes
	copy(p[154:156], "\x00 ")
	return b
}

// isZero reports whether a block is all zeros.
func isZero(p []byte) bool {
	for ; len(p) >= 8; p = p[8:] {
		if binary.NativeEndian.Uint64(p) != 0 {
			return false
		}
	}
	return true
}
