package pdk

import "io"

// A Hash computes a checksum of what is written to it. In the sandbox the
// host does the work, ten times as fast as a plugin could. It is not safe for
// concurrent use.
type Hash struct{ h hasher }

type hasher interface {
	io.WriteCloser
	sum() ([]byte, error)
}

// NewHash returns a hash of an algorithm: "crc32c", "md5", "sha1" or
// "sha256". It has to be closed.
func NewHash(algorithm string) (*Hash, error) {
	h, err := newHasher(algorithm)
	if err != nil {
		return nil, err
	}
	return &Hash{h}, nil
}

// Write implements io.Writer.
func (h *Hash) Write(p []byte) (int, error) { return h.h.Write(p) }

// Sum returns the checksum of what was written so far.
func (h *Hash) Sum() ([]byte, error) { return h.h.sum() }

// Close frees what the hash holds.
func (h *Hash) Close() error { return h.h.Close() }

// Sum returns the checksum of data.
func Sum(algorithm string, data []byte) ([]byte, error) {
	h, err := NewHash(algorithm)
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.Close() }()
	if _, err := h.Write(data); err != nil {
		return nil, err
	}
	return h.Sum()
}
