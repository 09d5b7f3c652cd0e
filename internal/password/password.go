// Package password hashes passwords with argon2id, as PHC strings. Hashing
// takes much memory on purpose, so that only a few passwords are hashed at a
// time.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/shieldhq/shield"
)

// The costs of new hashes. Those of old ones are in the hashes.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	threads = 1
	saltLen = 16
	keyLen  = 32
)

// What is taken from a stored hash at most.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 100
)

// How long a password may be, in bytes.
const (
	MinLength = 10
	MaxLength = 1000
)

// atOnce is how many passwords are hashed at the same time.
const atOnce = 2

// A Hasher hashes passwords. Make one with New. It is safe for concurrent use.
type Hasher struct {
	slots chan struct{}
	// nobody's is the hash that stands for that of a user who is not there.
	nobody string
}

// New returns a hasher.
func New() *Hasher {
	key, salt := make([]byte, keyLen), make([]byte, saltLen)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(salt)
	return &Hasher{slots: make(chan struct{}, atOnce), nobody: phc{memory, passes, threads, salt, key}.String()}
}

// Check refuses what is no good password.
func Check(text shield.Secret) error {
	p := text.Reveal()
	switch {
	case len(p) < MinLength:
		return shield.FieldErrorf("password", "is too short: at least %d bytes are wanted", MinLength)
	case len(p) > MaxLength:
		return shield.FieldErrorf("password", "is too long: at most %d bytes are allowed", MaxLength)
	case !utf8.ValidString(p) || strings.ContainsRune(p, 0):
		return shield.FieldErrorf("password", "is not valid UTF-8 text")
	case p == shield.Redacted:
		return shield.FieldErrorf("password", "is %s, which stands for a password that is not shown", shield.Redacted)
	}
	return nil
}

// Hash returns the hash of a password that Check accepts. It waits while
// others are hashed.
func (h *Hasher) Hash(ctx context.Context, text shield.Secret) (shield.Secret, error) {
	if err := Check(text); err != nil {
		return "", err
	}
	p := phc{memory, passes, threads, make([]byte, saltLen), nil}
	_, _ = rand.Read(p.salt) // never fails
	var err error
	p.key, err = h.derive(ctx, text, p, keyLen)
	return shield.Secret(p.String()), err
}

// Verify reports whether a password has a hash. With an empty hash, of a user
// who is not there, it takes as long and reports false.
func (h *Hasher) Verify(ctx context.Context, text, hash shield.Secret) (bool, error) {
	stored, there := hash.Reveal(), hash != ""
	if !there {
		stored = h.nobody
	}
	p, err := parse(stored)
	if err != nil {
		return false, err
	}
	if len(text) > MaxLength {
		text = "" // nobody has it
	}
	key, err := h.derive(ctx, text, p, len(p.key))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, p.key) == 1 && there, nil
}

// derive waits for its turn.
func (h *Hasher) derive(ctx context.Context, text shield.Secret, p phc, length int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, shield.Errorf(shield.Canceled, "", "canceled while other passwords were being checked: %w", ctx.Err())
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(text.Reveal()), p.salt, p.passes, p.memory, p.threads, uint32(length)), nil
}

// A phc is a hash with what it was made with.
type phc struct {
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

var encoding = base64.RawStdEncoding.Strict()

// String returns the PHC string.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.threads,
		encoding.EncodeToString(p.salt), encoding.EncodeToString(p.key))
}

// parse reads a PHC string, which its errors do not show.
func parse(text string) (phc, error) {
	var p phc
	bad := shield.Errorf(shield.Internal, "", "the stored hash of a password is damaged")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, bad
	}
	var err error
	if _, err = fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); err != nil {
		return p, bad
	}
	if p.salt, err = encoding.DecodeString(parts[4]); err != nil {
		return p, bad
	}
	if p.key, err = encoding.DecodeString(parts[5]); err != nil {
		return p, bad
	}
	if p.memory == 0 || p.memory > maxMemory || p.passes == 0 || p.passes > maxPasses || p.threads == 0 ||
		len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 || p.String() != text {
		return p, bad
	}
	return p, nil
}
