package wasmhost

import (
	"crypto/md5" // what services compare uploads with
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/klauspost/crc32"
)

type hashDescriptor struct {
	Algorithm string `json:"algorithm"`
}

// hashes is never written to.
var hashes = map[string]func() hash.Hash{
	"crc32c": func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"md5":    md5.New,
	"sha1":   sha1.New,
	"sha256": sha256.New,
}

// A hasher is a handle that hashes what is written to it, at the host's speed:
// a guest needs ten times as long.
type hasher struct{ h hash.Hash }

var _ handle = (*hasher)(nil)

func (i *instance) openHash(d *hashDescriptor) (handle, error) {
	make := hashes[d.Algorithm]
	if make == nil {
		return nil, i.errorf(errInvalid, `the algorithm is %.40q: "crc32c", "md5", "sha1" or "sha256" is wanted`, d.Algorithm)
	}
	return &hasher{make()}, nil
}

// hashPiece is how much one write takes, so that the guest can be stopped.
const hashPiece = 1 << 20

func (h *hasher) write(p []byte) (int, error) { return h.h.Write(p[:min(len(p), hashPiece)]) }
func (h *hasher) peek() ([]byte, error)       { return nil, errBadHandle }
func (h *hasher) advance(int)                 {}
func (h *hasher) shut() error                 { return nil }
func (h *hasher) close()                      {}

func (h *hasher) stat() (map[string]any, error) {
	return map[string]any{"sum": hex.EncodeToString(h.h.Sum(nil))}, nil
}
