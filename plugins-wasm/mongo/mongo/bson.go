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
