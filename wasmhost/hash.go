package wasmhost

import (
	"encoding/hex"
	"strings"

	"github.com/shieldhq/shield/plugin/pdk"
)

type hashDescriptor struct {
	Algorithm  string `json:"algorithm"`
	Salt       []byte `json:"salt"` // of a key, like the iterations
	Iterations int    `json:"iterations"`
}

// A hasher is a handle that hashes what is written to it, at the host's speed:
// a guest needs ten times as long. The hashes are those that plugins have where
// they are not in the sandbox.
type hasher struct{ h *pdk.Hash }

var _ handle = (*hasher)(nil)

func (i *instance) openHash(d *hashDescriptor) (handle, error) {
	if name, ok := strings.CutPrefix(d.Algorithm, "pbkdf2-"); ok {
		return &keyer{i: i, hash: name, salt: d.Salt, iterations: d.Iterations}, nil
	}
	h, err := pdk.NewHash(d.Algorithm)
	if err != nil {
		return nil, i.errorf(errInvalid, "%v", err)
	}
	return &hasher{h}, nil
}

// hashPiece is how much one write takes, so that the guest can be stopped.
const hashPiece = 1 << 20

func (h *hasher) write(p []byte) (int, error) { return h.h.Write(p[:min(len(p), hashPiece)]) }
func (h *hasher) peek() ([]byte, error)       { return nil, errBadHandle }
func (h *hasher) advance(int)                 {}
func (h *hasher) shut() error                 { return nil }
func (h *hasher) close()                      { _ = h.h.Close() }

func (h *hasher) stat() (map[string]any, error) {
	sum, err := h.h.Sum()
	if err != nil {
		return nil, err
	}
	return map[string]any{"sum": hex.EncodeToString(sum)}, nil
}

// passwordLimit bounds what keys are derived from.
const passwordLimit = 64 << 10

// A keyer is a handle that derives a key from the password that is written to
// it, so that a plugin that logs in by SCRAM need not.
type keyer struct {
	i          *instance
	hash       string
	salt       []byte
	iterations int
	password   []byte
}

var _ handle = (*keyer)(nil)

func (k *keyer) write(p []byte) (int, error) {
	if len(k.password)+len(p) > passwordLimit {
		return 0, k.i.errorf(errInvalid, "a password has at most %d bytes", passwordLimit)
	}
	k.password = append(k.password, p...)
	return len(p), nil
}

func (k *keyer) stat() (map[string]any, error) {
	key, err := pdk.DeriveKey(k.hash, string(k.password), k.salt, k.iterations)
	if err != nil {
		return nil, k.i.errorf(errInvalid, "a key cannot be derived: %v", err)
	}
	return map[string]any{"sum": hex.EncodeToString(key)}, nil
}

func (k *keyer) peek() ([]byte, error) { return nil, errBadHandle }
func (k *keyer) advance(int)           {}
func (k *keyer) shut() error           { return nil }
func (k *keyer) close()                { clear(k.password) }
