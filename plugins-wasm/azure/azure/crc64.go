package azure

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
)

// The CRC64 of the service: that of NVMe, reflected.
const polynomial = 0x9A6C9329AC4BC9B5

var crcTable = crc64.MakeTable(polynomial)

// encodeCRC returns a checksum as x-ms-content-crc64 has it: eight bytes, the
// lowest first, in base64.
func encodeCRC(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, sum))
}

func decodeCRC(text string) (uint64, bool) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b), true
}

// combineCRC returns the checksum of two pieces, one after the other, from
// that of each and the size of the second: appending n zeros multiplies by
// x to the 8n modulo the polynomial.
func combineCRC(first, second uint64, size int64) uint64 {
	power, square := uint64(1)<<63, uint64(1)<<55 // 1, x⁸: bit 63 is x⁰
	for n := size; n > 0; n >>= 1 {
		if n&1 != 0 {
			power = multiply(power, square)
		}
		square = multiply(square, square)
	}
	return multiply(first, power) ^ second
}

// multiply multiplies two polynomials modulo the checksum's.
func multiply(a, b uint64) uint64 {
	product := uint64(0)
	for bit := uint64(1) << 63; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= polynomial
		}
	}
	return product
}
