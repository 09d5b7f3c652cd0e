package interrupt

import "fmt"

// A reader reads the binary format. After an error it reads zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

func (r *reader) skip(n int) []byte {
	if n > len(r.b) {
		if r.err == nil {
			r.err = errTruncated
		}
		r.b = nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.skip(1); b != nil {
		return b[0]
	}
	return 0
}

// u32 reads an unsigned number (5.2.2). It may have up to five bytes, more
// than it needs, but none of its bits may be lost.
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	if r.err == nil {
		r.err = errNumber
	}
	r.b = nil
	return 0
}

// signed reads a signed number of so many bits and returns it.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			if rest := bits - shift; rest < 7 && !fits(b, rest) {
				break
			}
			return v
		}
	}
	if r.err == nil {
		r.err = errNumber
	}
	r.b = nil
	return 0
}

// fits reports whether the last byte of a number, of which only some bits
// are left, extends the sign in the others.
func fits(b byte, bits int) bool {
	extra := b & 0x7f >> (bits - 1) // the sign and what follows
	return extra == 0 || extra == 0x7f>>(bits-1)
}

// block reads a length and that many bytes.
func (r *reader) block() []byte {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)) {
		n = 0
		r.skip(len(r.b) + 1)
	}
	return r.skip(int(n))
}

// valueTypes reads a vector of value types (5.3.4) and returns how many they
// are.
func (r *reader) valueTypes() uint32 {
	types := r.block()
	for _, t := range types {
		if !isValueType(t) {
			r.fail("the value type %#x is unknown", t)
		}
	}
	return uint32(len(types))
}

func isValueType(t byte) bool { return t >= 0x7b && t <= 0x7f || isRefType(t) }
func isRefType(t byte) bool   { return t == 0x70 || t == 0x6f }

// limits reads those of a table or a memory (5.3.7).
func (r *reader) limits() {
	switch flags := r.byte(); flags {
	case 0:
		r.u32()
	case 1:
		r.u32()
		r.u32()
	default:
		r.fail("limits with the flags %#x are unknown", flags)
	}
}

// u32To appends an unsigned number.
func u32To(b []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// s32To appends a number that is not negative as a signed one.
func s32To(b []byte, v uint32) []byte {
	for ; v >= 0x40; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// blockTo appends a length and the bytes.
func blockTo(b, content []byte) []byte {
	return append(u32To(b, uint32(len(content))), content...)
}
