package archive

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/shieldhq/shield"
)

const (
	ageIntro   = "age-encryption.org/v1\n"
	nonceSize  = 16
	chunkSize  = 64 << 10
	fileKeyLen = 16
)

// A sealing encrypts and decrypts the chunks of an age payload. The nil
// sealing leaves them as they are.
type sealing struct {
	aead cipher.AEAD
	base int64 // where in the blob the first chunk is
}

func newSealing(fileKey, nonce []byte, base int) (*sealing, error) {
	key, err := hkdf.Key(sha256.New, fileKey, nonce, "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, err
	}
	return &sealing{aead, int64(base)}, nil
}

// overhead is what sealing adds to a chunk.
func (s *sealing) overhead() int {
	if s == nil {
		return 0
	}
	return s.aead.Overhead()
}

// A nonce is that of one chunk. It lives in the batch: given to the cipher, a
// local one would be garbage for each chunk.
type nonce [chacha20poly1305.NonceSize]byte

func (c *nonce) set(n uint64, last bool) []byte {
	binary.BigEndian.PutUint64(c[3:], n)
	c[11] = 0
	if last {
		c[11] = 1
	}
	return c[:]
}

// seal encrypts chunk n in place; behind it there must be room for the tag.
func (s *sealing) seal(c *nonce, n uint64, last bool, chunk []byte) {
	if s != nil {
		s.aead.Seal(chunk[:0], c.set(n, last), chunk, nil)
	}
}

// open decrypts chunk n in place.
func (s *sealing) open(c *nonce, n uint64, last bool, chunk []byte) error {
	if s == nil {
		return nil
	}
	if _, err := s.aead.Open(chunk[:0], c.set(n, last), chunk, nil); err != nil {
		at := s.base + int64(n)*int64(chunkSize+s.overhead())
		return corruptf("chunk %d, at byte %d of the blob, does not authenticate: altered, cut short or out of place", n, at)
	}
	return nil
}

// A keyTap is a recipient that remembers the file key that age gives it.
type keyTap struct {
	age.Recipient
	key *[]byte
}

var _ age.RecipientWithLabels = keyTap{}

// Wrap makes the stanzas for the file key.
func (t keyTap) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	s, _, err := t.WrapWithLabels(fileKey)
	return s, err
}

// WrapWithLabels is Wrap with the labels of the recipient, if it has any.
func (t keyTap) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	*t.key = bytes.Clone(fileKey)
	if r, ok := t.Recipient.(age.RecipientWithLabels); ok {
		return r.WrapWithLabels(fileKey)
	}
	s, err := t.Recipient.Wrap(fileKey)
	return s, nil, err
}

// startAge makes the age header and nonce for the recipients, and the sealing
// of the payload that follows. The header is age's own work; only the payload
// is ours, since age's writer is serial.
func startAge(recipients []age.Recipient) (start []byte, _ *sealing, _ error) {
	if len(recipients) == 0 {
		return nil, nil, nil
	}
	var key []byte
	taps := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		taps[i] = keyTap{r, &key}
	}
	var buf bytes.Buffer
	if _, err := age.Encrypt(&buf, taps...); err != nil {
		return nil, nil, shield.Errorf(shield.Invalid, "archive.NewWriter", "seal to the recipients: %w", err)
	}
	start = buf.Bytes()
	s, err := newSealing(key, start[len(start)-nonceSize:], len(start))
	return start, s, err
}

// FileKey returns the key of one archive, which opens this archive and no
// other. The header is the Seal of the archive's Summary, or any beginning of
// the blob that holds the whole age header.
func FileKey(header []byte, identities ...age.Identity) ([]byte, error) {
	if len(identities) == 0 {
		return nil, shield.Errorf(shield.Invalid, "archive.FileKey", "an identity or a file key is needed to open this archive")
	}
	header, err := age.ExtractHeader(bytes.NewReader(header))
	if err != nil {
		return nil, shield.Errorf(shield.Corrupt, "archive.FileKey", "age header: %v", err)
	}
	key, err := age.DecryptHeader(header, identities...)
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch):
		return nil, shield.Errorf(shield.Invalid, "archive.FileKey", "none of the identities opens this archive")
	case err != nil:
		return nil, shield.Errorf(shield.Corrupt, "archive.FileKey", "age header: %v", err)
	case len(key) != fileKeyLen:
		return nil, shield.Errorf(shield.Corrupt, "archive.FileKey", "file key has %d bytes, wanted %d", len(key), fileKeyLen)
	}
	return key, nil
}
