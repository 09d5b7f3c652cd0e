package fs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseBlock reads a header block.
func parseBlock(p []byte) (*header, error) {
	want, err := parseNumber(p[148:156])
	if err != nil || want != checksum(p) && want != signedChecksum(p) {
		return nil, errors.New("this is no tar header: its checksum is wrong")
	}
	h := &header{kind: p[156], name: cString(p[0:100]), link: cString(p[157:257])}
	var n numbers
	h.mode = uint32(n.parse("mode", p[100:108], math.MaxUint32)) & 0o7777
	h.uid = int(n.parse("uid", p[108:116], math.MaxUint32))
	h.gid = int(n.parse("gid", p[116:124], math.MaxUint32))
	h.size = n.parse("size", p[124:136], math.MaxInt64)
	h.mtime.sec = n.signed("mtime", p[136:148])
	if magic := string(p[257:263]); magic == "ustar\x00" || magic == "ustar " {
		h.user, h.group = cString(p[265:297]), cString(p[297:329])
		h.major = uint32(n.parse("device", p[329:337], math.MaxUint32))
		h.minor = uint32(n.parse("device", p[337:345], math.MaxUint32))
		if prefix := cString(p[345:500]); magic == "ustar\x00" && prefix != "" {
			h.name = prefix + "/" + h.name
		}
	}
	return h, n.err
}

// signedChecksum is what some old programs wrote: they took bytes for signed.
func signedChecksum(p []byte) int64 {
	n := checksum(p)
	for i, c := range p[:blockSize] {
		if c >= 0x80 && (i < 148 || i >= 156) {
			n -= 256
		}
	}
	return n
}

// numbers keeps the first error of several fields.
type numbers struct{ err error }

func (n *numbers) signed(what string, p []byte) int64 {
	v, err := parseNumber(p)
	if err != nil && n.err == nil {
		n.err = fmt.Errorf("%s: %w", what, err)
	}
	return v
}

func (n *numbers) parse(what string, p []byte, limit int64) int64 {
	v := n.signed(what, p)
	return n.bound(what, v, limit)
}

func (n *numbers) bound(what string, v, limit int64) int64 {
	if v >= 0 && v <= limit {
		return v
	}
	if n.err == nil {
		n.err = fmt.Errorf("%s is %d: 0 to %d is possible", what, v, limit)
	}
	return 0
}

// parseNumber reads octal digits, or the binary form of the GNU format.
func parseNumber(p []byte) (int64, error) {
	if n, ok := parseOctal(p); ok {
		return n, nil
	}
	if p[0]&0x80 != 0 {
		return parseBinary(p)
	}
	s := strings.Trim(string(p), " \x00")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(cString([]byte(s)), 8, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is no octal number", s)
	}
	return int64(n), nil
}

// parseBinary reads a number in base 256, in two's complement.
func parseBinary(p []byte) (int64, error) {
	n := int64(p[0] & 0x7f)
	if p[0]&0x40 != 0 {
		n |= ^int64(0x7f)
	}
	for _, c := range p[1:] {
		if n > math.MaxInt64>>8 || n < math.MinInt64>>8 {
			return 0, errors.New("a number has more than 63 bits")
		}
		n = n<<8 | int64(c)
	}
	return n, nil
}

func cString(p []byte) string {
	if i := bytes.IndexByte(p, 0); i >= 0 {
		p = p[:i]
	}
	return string(p)
}

// parseRecords reads the records of an extended header. The pairs of the
// sparse format 0.0, whose keys repeat, come in order.
func parseRecords(data []byte) (records map[string]string, pairs []string, err error) {
	records = map[string]string{}
	for len(data) > 0 {
		key, value, rest, ok := parseRecord(data)
		if !ok {
			return nil, nil, fmt.Errorf("an extended header has a bad record: %.40q", data)
		}
		switch key {
		case "GNU.sparse.offset", "GNU.sparse.numbytes":
			pairs = append(pairs, value)
		default:
			records[key] = value
		}
		data = rest
	}
	return records, pairs, nil
}

func parseRecord(data []byte) (key, value string, rest []byte, ok bool) {
	digits, _, found := bytes.Cut(data[:min(len(data), 20)], []byte(" "))
	n, err := strconv.ParseUint(string(digits), 10, 31)
	if !found || err != nil || int(n) > len(data) || int(n) < len(digits)+4 || data[n-1] != '\n' {
		return "", "", nil, false
	}
	key, value, ok = strings.Cut(string(data[len(digits)+1:n-1]), "=")
	return key, value, data[n:], ok && key != ""
}

// applyRecords puts the records of extended headers into h. An empty value
// takes back a global record and stands for the plain header's.
func applyRecords(h *header, records map[string]string) error {
	var n numbers
	for key, v := range records {
		if attr, ok := strings.CutPrefix(key, attrPrefix); ok {
			h.addAttr(attr, v)
			continue
		}
		if v != "" {
			n.apply(h, key, v)
		}
	}
	return n.err
}

func (h *header) addAttr(key, value string) {
	key = strings.NewReplacer("%3D", "=", "%25", "%").Replace(key)
	h.attrs = append(h.attrs, attr{key, []byte(value)})
}

func (n *numbers) apply(h *header, key, v string) {
	switch key {
	case "path":
		h.name = v
	case "linkpath":
		h.link = v
	case "uname":
		h.user = v
	case "gname":
		h.group = v
	case "size":
		h.size = n.decimal(key, v, math.MaxInt64)
	case "uid":
		h.uid = int(n.decimal(key, v, math.MaxUint32))
	case "gid":
		h.gid = int(n.decimal(key, v, math.MaxUint32))
	case "SCHILY.devmajor":
		h.major = uint32(n.decimal(key, v, math.MaxUint32))
	case "SCHILY.devminor":
		h.minor = uint32(n.decimal(key, v, math.MaxUint32))
	case "SCHILY.acl.access", "SCHILY.acl.default":
		h.textACL = true
	case "mtime":
		h.mtime = n.stamp(key, v)
	}
}

func (n *numbers) decimal(what, s string, limit int64) int64 {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		v = -1
	}
	return n.bound(what, v, limit)
}

// stamp reads seconds with a fraction, which counts away from zero.
func (n *numbers) stamp(what, s string) stamp {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	nsec, err2 := strconv.ParseUint((fraction + "000000000")[:9], 10, 30)
	if err != nil || err2 != nil || sec == math.MinInt64 {
		n.bound(what, -1, 0)
		return stamp{}
	}
	t := stamp{sec, int64(nsec)}
	if strings.HasPrefix(whole, "-") && nsec > 0 {
		t = stamp{sec - 1, 1e9 - int64(nsec)}
	}
	return t
}
