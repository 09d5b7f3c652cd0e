package archive

import (
	"encoding/binary"
	"math/bits"
)

// Magic numbers and sizes of zstd (RFC 8878).
const (
	zstdMagic      = 0xFD2FB528
	skippableMagic = 0x184D2A50 // the lowest of sixteen
	ownMagic       = 0x184D2A5D // the one that our own frames use
	blockSize      = 128 << 10
	blockHeader    = 3
)

// Tags at the start of our own skippable frames; they tell them from foreign
// ones and from each other.
const (
	headerTag  = "shieldH1"
	indexTag   = "shieldI1"
	trailerTag = "shieldT1"
	tagSize    = 8
)

func isSkippable(magic uint32) bool { return magic&^0xF == skippableMagic }

// appendSkippable appends a skippable frame of ours.
func appendSkippable(dst []byte, tag string, body []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, ownMagic)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(tagSize+len(body)))
	dst = append(dst, tag...)
	return append(dst, body...)
}

// appendFrameHeader appends the header of a single-segment frame of size raw
// bytes.
func appendFrameHeader(dst []byte, size int, checksum bool) []byte {
	descriptor := byte(0xA0) // 4-byte content size, single segment
	if checksum {
		descriptor |= 0x04
	}
	dst = binary.LittleEndian.AppendUint32(dst, zstdMagic)
	dst = append(dst, descriptor)
	return binary.LittleEndian.AppendUint32(dst, uint32(size))
}

// appendRawBlock appends the header of the next raw block of raw, and returns
// the bytes that belong in it and those behind it.
func appendRawBlock(dst, raw []byte) (head, body, rest []byte) {
	n := min(len(raw), blockSize)
	v := uint32(n) << 3
	if n == len(raw) {
		v |= 1
	}
	return append(dst, byte(v), byte(v>>8), byte(v>>16)), raw[:n], raw[n:]
}

// A frameHead is what the start of a zstd frame says.
type frameHead struct {
	content  uint64
	checksum bool
}

// frameHeadSize returns how long the header behind the magic is, given its
// first byte.
func frameHeadSize(descriptor byte) int {
	n := 1 + []int{0, 1, 2, 4}[descriptor&3] + []int{0, 2, 4, 8}[descriptor>>6]
	if descriptor&0x20 == 0 {
		return n + 1 // window descriptor
	}
	if descriptor>>6 == 0 {
		return n + 1 // a single segment always has a content size
	}
	return n
}

// parseFrameHead reads a frame header behind the magic. Whatever would let
// the frame ask for more memory than we give, or needs what we never write,
// is refused.
func parseFrameHead(p []byte) (frameHead, error) {
	d := p[0]
	single := d&0x20 != 0
	switch {
	case d&0x08 != 0:
		return frameHead{}, corruptf("reserved bit set in a frame header")
	case d&0x03 != 0:
		return frameHead{}, corruptf("frame wants a dictionary")
	case d>>6 == 0 && !single:
		return frameHead{}, corruptf("frame without content size")
	}
	h := frameHead{checksum: d&0x04 != 0}
	p = p[1:]
	if !single {
		if window := windowSize(p[0]); window > maxFrameSize {
			return frameHead{}, corruptf("frame window of %d bytes, at most %d are accepted", window, maxFrameSize)
		}
		p = p[1:]
	}
	switch len(p) {
	case 1:
		h.content = uint64(p[0])
	case 2:
		h.content = uint64(binary.LittleEndian.Uint16(p)) + 256
	case 4:
		h.content = uint64(binary.LittleEndian.Uint32(p))
	default:
		h.content = binary.LittleEndian.Uint64(p)
	}
	if h.content == 0 || h.content > maxFrameSize {
		return frameHead{}, corruptf("frame of %d raw bytes, 1 to %d are accepted", h.content, maxFrameSize)
	}
	return h, nil
}

func windowSize(descriptor byte) uint64 {
	base := uint64(1) << (10 + descriptor>>3)
	return base + base/8*uint64(descriptor&7)
}

// maxEncoded bounds the encoded size of a frame, so that empty blocks without
// end are noticed.
func maxEncoded(content uint64) int { return int(content + content/16 + 4096) }

// looksRandom reports whether compressing raw would be in vain: in a sample
// of it all byte values are equally frequent, which is so for encrypted and
// well compressed data. Not trying saves about half a second of CPU a GB.
func looksRandom(raw []byte) bool {
	const piece, pieces = 1 << 10, 16
	if len(raw) < piece*pieces {
		return false
	}
	var count [256]int
	step := (len(raw) - piece) / (pieces - 1)
	for i := range pieces {
		for _, c := range raw[i*step : i*step+piece] {
			count[c]++
		}
	}
	// Chi-squared with 255 degrees of freedom: 255 +- 22.6 for random bytes.
	const mean = piece * pieces / 256
	sum := 0
	for _, n := range count {
		sum += (n - mean) * (n - mean)
	}
	chi := sum / mean
	return chi > 140 && chi < 400
}

// xxh64 is XXH64 with seed 0, whose low half is the checksum of a zstd frame.
func xxh64(p []byte) uint64 {
	const (
		p1 uint64 = 11400714785074694791
		p2 uint64 = 14029467366897019727
		p3 uint64 = 1609587929392839161
		p4 uint64 = 9650029242287828579
		p5 uint64 = 2870177450012600261
	)
	round := func(acc, in uint64) uint64 { return bits.RotateLeft64(acc+in*p2, 31) * p1 }
	h, size := p5, uint64(len(p))
	if len(p) >= 32 {
		one := p1 // a variable, since constants must not overflow
		v1, v2, v3, v4 := one+p2, p2, uint64(0), -one
		for ; len(p) >= 32; p = p[32:] {
			v1 = round(v1, binary.LittleEndian.Uint64(p))
			v2 = round(v2, binary.LittleEndian.Uint64(p[8:]))
			v3 = round(v3, binary.LittleEndian.Uint64(p[16:]))
			v4 = round(v4, binary.LittleEndian.Uint64(p[24:]))
		}
		h = bits.RotateLeft64(v1, 1) + bits.RotateLeft64(v2, 7) + bits.RotateLeft64(v3, 12) + bits.RotateLeft64(v4, 18)
		for _, v := range []uint64{v1, v2, v3, v4} {
			h = (h^round(0, v))*p1 + p4
		}
	}
	h += size
	for ; len(p) >= 8; p = p[8:] {
		h = bits.RotateLeft64(h^round(0, binary.LittleEndian.Uint64(p)), 27)*p1 + p4
	}
	if len(p) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(p))*p1, 23)*p2 + p3
		p = p[4:]
	}
	for _, c := range p {
		h = bits.RotateLeft64(h^uint64(c)*p5, 11) * p1
	}
	h = (h ^ h>>33) * p2
	h = (h ^ h>>29) * p3
	return h ^ h>>32
}
