package fs

import "encoding/binary"

// A loop costs more in the sandbox than what it does: at each turn the runtime
// looks whether the guest is to be stopped. Each file has two headers of 512
// bytes with nine numbers. So numbers and sums are done eight bytes at a time.

// octal fills p, of 8 or 12 bytes, with digits and a NUL; a number that does
// not fit becomes 0.
func octal(p []byte, n int64) {
	if n < 0 || n >= 1<<(3*(len(p)-1)) {
		n = 0
	}
	if len(p) == 12 {
		binary.BigEndian.PutUint64(p, spread(n>>24)<<40)
		binary.BigEndian.PutUint64(p[3:], spread(n))
		p[11] = 0
		return
	}
	binary.BigEndian.PutUint64(p, spread(n)<<8)
}

// spread makes eight octal digits of the lower 24 bits.
func spread(n int64) uint64 {
	x := uint64(n) & 0xffffff
	x = (x | x<<20) & 0x00000fff00000fff
	x = (x | x<<10) & 0x003f003f003f003f
	x = (x | x<<5) & 0x0707070707070707
	return x | 0x3030303030303030
}

// gather is the reverse of spread; ok is false if not all are octal digits.
func gather(x uint64) (n int64, ok bool) {
	x ^= 0x3030303030303030
	if x&^0x0707070707070707 != 0 {
		return 0, false
	}
	x = (x | x>>5) & 0x003f003f003f003f
	x = (x | x>>10) & 0x00000fff00000fff
	return int64((x | x>>20) & 0xffffff), true
}

// parseOctal reads a number as octal writes them; ok is false for all other
// forms.
func parseOctal(p []byte) (n int64, ok bool) {
	const zero = '0'
	if p[len(p)-1] != 0 && p[len(p)-1] != ' ' {
		return 0, false
	}
	switch len(p) {
	case 8:
		return gather(binary.BigEndian.Uint64(p)>>8 | zero<<56)
	case 12:
		low, ok := gather(binary.BigEndian.Uint64(p[3:]))
		high, ok2 := gather(binary.BigEndian.Uint64(p)>>40 | 0x3030303030000000)
		return high<<24 | low, ok && ok2
	}
	return 0, false
}

// checksum sums a header block, taking the sum's own field for spaces.
func checksum(p []byte) int64 {
	const even = 0x00ff00ff00ff00ff
	var sum uint64 // of four lanes, each of which stays below 1<<16
	for q := p[:blockSize]; len(q) >= 64; q = q[64:] {
		for i := 0; i < 64; i += 32 {
			a, b := binary.LittleEndian.Uint64(q[i:]), binary.LittleEndian.Uint64(q[i+8:])
			c, d := binary.LittleEndian.Uint64(q[i+16:]), binary.LittleEndian.Uint64(q[i+24:])
			sum += a&even + a>>8&even + b&even + b>>8&even + c&even + c>>8&even + d&even + d>>8&even
		}
	}
	n := int64(sum&0xffff + sum>>16&0xffff + sum>>32&0xffff + sum>>48)
	own := p[148:156]
	for _, c := range own {
		n -= int64(c)
	}
	return n + 8*' '
}
