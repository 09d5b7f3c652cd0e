package plugintest

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// Stream returns a reader of size bytes that look random and are the same
// for the same seed.
func Stream(size int64, seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), size)
}

// Bytes returns what Stream gives.
func Bytes(size int64, seed uint64) []byte {
	b := make([]byte, size)
	_, _ = io.ReadFull(Stream(size, seed), b) // it has that many
	return b
}

// copyContext copies until io.EOF. Once ctx is done it returns the cause,
// also at an end read then: the caller may have stopped the reader.
func copyContext(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	var n int64
	b := make([]byte, 64<<10)
	for {
		got, err := r.Read(b)
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		put, writeErr := w.Write(b[:got])
		n += int64(put)
		switch {
		case writeErr != nil:
			return n, writeErr
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		}
	}
}
