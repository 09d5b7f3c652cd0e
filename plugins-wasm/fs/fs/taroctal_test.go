package fs

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestOctal(t *testing.T) {
	t.Parallel()
	for _, size := range []int{8, 12} {
		limit := int64(1) << (3 * (size - 1))
		for _, n := range []int64{0, 1, 7, 8, 0o1234567, 1<<24 - 1, 1 << 24, limit - 1, limit, -1, rand.Int64N(limit)} {
			p := make([]byte, size)
			octal(p, n)
			want := n
			if n < 0 || n >= limit {
				want = 0
			}
			if text := fmt.Sprintf("%0*o\x00", size-1, want); string(p) != text {
				t.Errorf("%d is %q, want %q", n, p, text)
			}
			if got, ok := parseOctal(p); got != want || !ok {
				t.Errorf("%q is %d, %v", p, got, ok)
			}
		}
	}
	for _, s := range []string{"00000008", "0000008\x00", " 000123\x00", "\x80000000\x00", "1234567:", "123\x00\x00\x00\x00\x00"} {
		if n, ok := parseOctal([]byte(s)); ok {
			t.Errorf("%q is %d", s, n)
		}
	}
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	for _, fill := range []func() byte{func() byte { return 0xff }, func() byte { return byte(rand.Uint32()) }} {
		p, want := make([]byte, blockSize), int64(0)
		for i := range p {
			if p[i] = fill(); i < 148 || i >= 156 {
				want += int64(p[i])
			} else {
				want += ' '
			}
		}
		if got := checksum(p); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}
