package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// fill reads more, so that at least one byte is there.
func (d *Decoder) fill() error {
	d.settle()
	if d.at == d.end {
		d.at, d.end, d.summed = 0, 0, 0
	} else if d.end > len(d.buf)/2 && d.at > 0 { // what is read at once is not to be little
		d.end = copy(d.buf, d.buf[d.at:d.end])
		d.at, d.summed = 0, 0
	}
	for range 100 {
		n, err := d.r.Read(d.buf[d.end:])
		d.end += n
		if n > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			d.ended = true
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// Rest reads on to the end after an error that is ErrUnknown, and compares the
// checksum, for which nothing has to be known.
func (d *Decoder) Rest() error {
	d.keeping = false
	tail := 9 // the mark of the end, the checksum
	if d.version < 5 {
		tail = 1
	}
	for !d.ended {
		if n := d.end - d.at - tail; n > 0 {
			_ = d.pass(n) // keeps nothing
		}
		if err := d.fill(); err != nil && !d.ended {
			return err
		}
	}
	if d.end-d.at != tail || d.buf[d.at] != opEOF {
		return errors.New("it does not end as a file does")
	}
	_ = d.pass(1)
	return d.finish()
}

// settle takes what was consumed into the checksum.
func (d *Decoder) settle() {
	if d.o.Verify && d.summed < d.at {
		d.crc = sum(d.crc, d.buf[d.summed:d.at])
	}
	d.summed = d.at
}

func (d *Decoder) byte() (byte, error) {
	if d.at == d.end {
		if err := d.fill(); err != nil {
			return 0, err
		}
	}
	b := d.buf[d.at]
	return b, d.pass(1)
}

// take returns the next n bytes, few, until the next call.
func (d *Decoder) take(n int) ([]byte, error) {
	for d.end-d.at < n {
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
	b := d.buf[d.at : d.at+n]
	return b, d.pass(n)
}

// pass consumes n bytes of the buffer.
func (d *Decoder) pass(n int) error {
	b := d.buf[d.at : d.at+n]
	d.at += n
	if !d.keeping {
		return nil
	}
	d.size += int64(n)
	if !d.o.Keep {
		return nil
	}
	if d.size > d.o.Limit {
		return fmt.Errorf("it is %w of %d bytes", ErrTooLarge, d.o.Limit)
	}
	d.value = append(d.value, b...)
	return nil
}

// skip consumes n bytes.
func (d *Decoder) skip(n uint64) error {
	for n > 0 {
		if d.at == d.end {
			if err := d.fill(); err != nil {
				return err
			}
		}
		step := min(n, uint64(d.end-d.at))
		if err := d.pass(int(step)); err != nil {
			return err
		}
		n -= step
	}
	return nil
}

// Encodings of strings that are not plain.
const (
	encInt8 = iota
	encInt16
	encInt32
	encLZF
)

// encoded reads a length, or the encoding of a string.
func (d *Decoder) encoded() (n uint64, special bool, err error) {
	b, err := d.byte()
	if err != nil {
		return 0, false, err
	}
	switch b >> 6 {
	case 0:
		return uint64(b & 0x3f), false, nil
	case 1:
		low, err := d.byte()
		return uint64(b&0x3f)<<8 | uint64(low), false, err
	case 3:
		return uint64(b & 0x3f), true, nil
	}
	switch b {
	case 0x80:
		p, err := d.take(4)
		if err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(p)), false, nil
	case 0x81:
		p, err := d.take(8)
		if err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(p), false, nil
	}
	return 0, false, fmt.Errorf("%#x does not begin a length", b)
}

func (d *Decoder) length() (uint64, error) {
	n, special, err := d.encoded()
	if err == nil && special {
		err = errors.New("an encoded string stands where a length should")
	}
	return n, err
}

func (d *Decoder) lengths(n int) error {
	for range n {
		if _, err := d.length(); err != nil {
			return err
		}
	}
	return nil
}

// lengthAt returns how many bytes the length takes that p begins with, and the
// length: 0 of one that is not plain, or of which p may have only a part. It is
// the short way for what most of a file is.
func lengthAt(p []byte) (head, n int) {
	if len(p) < 5 {
		return 0, 0
	}
	switch {
	case p[0] < 0x40:
		return 1, int(p[0])
	case p[0] < 0x80:
		return 2, int(p[0]&0x3f)<<8 | int(p[1])
	case p[0] == 0x80:
		return 5, int(binary.BigEndian.Uint32(p[1:]))
	}
	return 0, 0
}

// skipAt returns how many bytes the string takes that p begins with: 0 if p
// may have only a part of it, or to find out takes longer.
func skipAt(p []byte) int {
	head, size := lengthAt(p)
	if len(p) > 0 && p[0] == 0xc0|encLZF {
		packed, n := lengthAt(p[1:])
		full, _ := lengthAt(p[min(1+packed, len(p)):])
		if packed == 0 || full == 0 {
			return 0
		}
		head, size = 1+packed+full, n
	}
	if head == 0 || size > len(p)-head {
		return 0
	}
	return head + size
}

// skipString passes over a string.
func (d *Decoder) skipString() error {
	if n := skipAt(d.buf[d.at:d.end]); n > 0 {
		return d.pass(n)
	}
	n, special, err := d.encoded()
	if err != nil {
		return err
	}
	if !special {
		return d.skip(n)
	}
	switch n {
	case encInt8, encInt16, encInt32:
		return d.skip(1 << n)
	case encLZF:
		packed, err := d.length()
		if err != nil {
			return err
		}
		if _, err := d.length(); err != nil {
			return err
		}
		return d.skip(packed)
	}
	return fmt.Errorf("string encoding %d is %w", n, ErrUnknown)
}

func (d *Decoder) skipStrings(n uint64) error {
	for range n {
		if err := d.skipString(); err != nil {
			return err
		}
	}
	return nil
}

// textLimit bounds keys, texts and sources of functions: Redis itself allows
// no string above 512 MiB.
const textLimit = 512 << 20

// text returns a string, decoded.
func (d *Decoder) text() ([]byte, error) {
	p := d.buf[d.at:d.end]
	if head, size := lengthAt(p); head > 0 && size <= len(p)-head {
		return p[head : head+size], d.pass(head + size)
	}
	n, special, err := d.encoded()
	if err != nil {
		return nil, err
	}
	if !special {
		return d.bytes(n)
	}
	switch n {
	case encInt8, encInt16, encInt32:
		return d.integer(int(1) << n)
	case encLZF:
		return d.packed()
	}
	return nil, fmt.Errorf("string encoding %d is %w", n, ErrUnknown)
}

func (d *Decoder) integer(size int) ([]byte, error) {
	p, err := d.take(size)
	if err != nil {
		return nil, err
	}
	var v int64
	switch size {
	case 1:
		v = int64(int8(p[0]))
	case 2:
		v = int64(int16(binary.LittleEndian.Uint16(p)))
	default:
		v = int64(int32(binary.LittleEndian.Uint32(p)))
	}
	return fmt.Append(nil, v), nil
}

func (d *Decoder) bytes(n uint64) ([]byte, error) {
	if n > textLimit {
		return nil, fmt.Errorf("a string of %d bytes is longer than Redis allows", n)
	}
	if n <= uint64(len(d.buf)) {
		return d.take(int(n))
	}
	// The length may be a lie: memory is taken as the bytes come.
	var out []byte
	for uint64(len(out)) < n {
		p, err := d.take(int(min(n-uint64(len(out)), 64<<10)))
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
	}
	return out, nil
}

func (d *Decoder) packed() ([]byte, error) {
	size, err := d.length()
	if err != nil {
		return nil, err
	}
	full, err := d.length()
	if err != nil {
		return nil, err
	}
	p, err := d.bytes(size)
	if err != nil {
		return nil, err
	}
	return unpack(p, full)
}

// unpack decompresses LZF, the format of Marc Lehmann's liblzf: a control byte
// below 32 is a run of one more literal bytes, any other a length in its upper
// three bits and a distance back in the rest and the next byte.
func unpack(p []byte, size uint64) ([]byte, error) {
	bad := errors.New("an LZF string is damaged")
	if size > textLimit || size > uint64(len(p))*264+32 {
		return nil, bad
	}
	out := make([]byte, 0, size)
	for len(p) > 0 {
		c := int(p[0])
		p = p[1:]
		if c < 32 {
			if len(p) < c+1 {
				return nil, bad
			}
			out, p = append(out, p[:c+1]...), p[c+1:]
			continue
		}
		n := c >> 5
		if n == 7 {
			if len(p) == 0 {
				return nil, bad
			}
			n += int(p[0])
			p = p[1:]
		}
		if len(p) == 0 {
			return nil, bad
		}
		from := len(out) - (c&0x1f)<<8 - int(p[0]) - 1
		p = p[1:]
		if from < 0 {
			return nil, bad
		}
		for i := range n + 2 {
			out = append(out, out[from+i])
		}
	}
	if uint64(len(out)) != size {
		return nil, bad
	}
	return out, nil
}
