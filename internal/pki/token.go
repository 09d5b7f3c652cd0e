package pki

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/shieldhq/shield"
)

// A Token is what an agent joins with: the pin of the daemon's authority and a
// secret that is used once.
type Token struct {
	Pin    string
	Secret shield.Secret
}

const tokenPrefix = "shield-join"

// NewToken makes a token with a secret of at least 128 random bits.
func (a *Authority) NewToken() Token {
	return Token{Pin: a.Pin(), Secret: shield.Secret(rand.Text())}
}

// Reveal returns the token as a text that ParseToken reads.
func (t Token) Reveal() string {
	return strings.Join([]string{tokenPrefix, t.Pin, t.Secret.Reveal()}, "_")
}

// Digest is what is kept of the secret.
func (t Token) Digest() string {
	sum := sha256.Sum256([]byte(t.Secret.Reveal()))
	return hex.EncodeToString(sum[:])
}

// ParseToken reads a token. The error does not quote it.
func ParseToken(text string) (Token, error) {
	parts := strings.Split(strings.TrimSpace(text), "_")
	if len(parts) != 3 || parts[0] != tokenPrefix || len(parts[1]) != 2*sha256.Size || len(parts[2]) < 20 {
		return Token{}, shield.FieldErrorf("token", "is not one to join with: the whole of what `shield create agent-token` printed is wanted, from %s_ on", tokenPrefix)
	}
	return Token{Pin: parts[1], Secret: shield.Secret(parts[2])}, nil
}
