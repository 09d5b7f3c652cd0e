package mongo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// documentLimit is the size of the largest document that mongodump writes:
// the server's limit of 16 MiB and what it adds to it itself.
const documentLimit = 16<<20 + 16<<10

// A document is one BSON document whose length is right.
type document []byte

// errDocument is what all errors of looking into a document say.
var errDocument = errors.New("a BSON document is malformed")

// fields calls yield with each element at the top: its kind, its name and the
// bytes of its value.
func (d document) fields(yield func(kind byte, name string, value []byte)) error {
	if len(d) < 5 || d[len(d)-1] != 0 || binary.LittleEndian.Uint32(d) != uint32(len(d)) {
		return errDocument
	}
	for rest := d[4:]; ; {
		if rest[0] == 0 {
			if len(rest) != 1 {
				return errDocument
			}
			return nil
		}
		end := bytes.IndexByte(rest[1:], 0)
		if end < 0 {
			return errDocument
		}
		kind, name, value := rest[0], string(rest[1:1+end]), rest[2+end:]
		size, err := valueSize(kind, value)
		if err != nil || size >= len(value) { // at least the end of the document follows
			return errDocument
		}
		yield(kind, name, value[:size])
		rest = value[size:]
	}
}

// fixed is the size of the values of each kind that has one, plus one.
var fixed = [256]uint8{
	0x01: 9, 0x06: 1, 0x07: 13, 0x08: 2, 0x09: 9, 0x0a: 1, 0x10: 5, 0x11: 9, 0x12: 9, 0x13: 17, 0x7f: 1, 0xff: 1,
}

// valueSize returns how many bytes a value takes.
func valueSize(kind byte, b []byte) (int, error) {
	if n := fixed[kind]; n > 0 {
		return int(n) - 1, nil
	}
	switch kind {
	case 0x02, 0x0d, 0x0e: // a string, code, a symbol
		return sized(b, 4)
	case 0x03, 0x04, 0x0f: // a document, an array, code with scope
		return sized(b, 0)
	case 0x05: // binary data
		return sized(b, 5)
	case 0x0b: // a regular expression: two texts
		first := bytes.IndexByte(b, 0)
		second := bytes.IndexByte(b[first+1:], 0)
		if first < 0 || second < 0 {
			return 0, errDocument
		}
		return first + second + 2, nil
	case 0x0c: // a reference: a string and an identity
		n, err := sized(b, 4)
		return n + 12, err
	}
	return 0, fmt.Errorf("%w: there is no kind %#x of values", errDocument, kind)
}

// sized reads a length that does not count the given bytes beside it.
func sized(b []byte, beside int) (int, error) {
	if len(b) < 4 {
		return 0, errDocument
	}
	n := binary.LittleEndian.Uint32(b)
	if n > math.MaxInt32-16 || int(n)+beside < 4 {
		return 0, errDocument
	}
	return int(n) + beside, nil
}

// text returns a string's value without its length and end.
func text(value []byte) string {
	if len(value) < 5 {
		return ""
	}
	return string(value[4 : len(value)-1])
}

// A field is a name and a value of a document that is to be encoded: the
// order counts.
type field struct {
	name  string
	value any // string, bool, int32, int64, []byte, []field, raw, or []any of them
}

// A raw value is one that is encoded already.
type raw struct {
	kind byte
	b    []byte
}

// encode returns a document.
func encode(fields []field) []byte {
	b := make([]byte, 4, 64)
	for _, f := range fields {
		b = appendValue(b, f.name, f.value)
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

func appendValue(b []byte, name string, value any) []byte {
	head := func(kind byte) []byte { return append(append(append(b, kind), name...), 0) }
	switch v := value.(type) {
	case string:
		b = binary.LittleEndian.AppendUint32(head(0x02), uint32(len(v)+1))
		return append(append(b, v...), 0)
	case bool:
		if v {
			return append(head(0x08), 1)
		}
		return append(head(0x08), 0)
	case int32:
		return binary.LittleEndian.AppendUint32(head(0x10), uint32(v))
	case int64:
		return binary.LittleEndian.AppendUint64(head(0x12), uint64(v))
	case []byte:
		b = binary.LittleEndian.AppendUint32(head(0x05), uint32(len(v)))
		return append(append(b, 0), v...)
	case raw:
		return append(head(v.kind), v.b...)
	case []field:
		return append(head(0x03), encode(v)...)
	case []any:
		list := make([]field, len(v))
		for n := range v {
			list[n] = field{fmt.Sprint(n), v[n]}
		}
		return append(head(0x04), encode(list)...)
	}
	panic(fmt.Sprintf("no BSON for %T", value)) // a fault of this package
}

// depthLimit bounds how documents nest; the server's limit is 100.
const depthLimit = 200

// decode returns a document as a map of string, bool, int64, []byte, map and
// []any. Numbers with fractions lose them; what else there is, is left out.
func (d document) decode() (map[string]any, error) { return d.decodeAt(0) }

func (d document) decodeAt(depth int) (map[string]any, error) {
	if depth > depthLimit {
		return nil, errDocument
	}
	m := map[string]any{}
	var inner error
	err := d.fields(func(kind byte, name string, value []byte) {
		switch kind {
		case 0x01:
			m[name] = int64(math.Float64frombits(binary.LittleEndian.Uint64(value)))
		case 0x02:
			m[name] = text(value)
		case 0x03, 0x04:
			sub, err := document(value).decodeAt(depth + 1)
			if err != nil {
				inner = err
			}
			if m[name] = sub; kind == 0x04 {
				m[name] = listOf(sub)
			}
		case 0x05:
			m[name] = value[5:]
		case 0x08:
			m[name] = value[0] == 1
		case 0x10:
			m[name] = int64(int32(binary.LittleEndian.Uint32(value)))
		case 0x12:
			m[name] = int64(binary.LittleEndian.Uint64(value))
		}
	})
	return m, errors.Join(err, inner)
}

// listOf returns an array, which BSON has as a document with numbers for
// names.
func listOf(m map[string]any) []any {
	list := make([]any, 0, len(m))
	for n := range len(m) {
		list = append(list, m[fmt.Sprint(n)])
	}
	return list
}
