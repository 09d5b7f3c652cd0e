package pdk

import "fmt"

// KeyRounds is how many iterations DeriveKey does at most.
const KeyRounds = 1 << 20

// DeriveKey returns what PBKDF2 makes of a password by HMAC with a hash,
// "sha1" or "sha256": a key as long as that. In the sandbox the host does the
// work, twenty times as fast as a plugin could.
func DeriveKey(hash, password string, salt []byte, iterations int) ([]byte, error) {
	if iterations < 1 || iterations > KeyRounds {
		return nil, fmt.Errorf("%d iterations: 1 to %d are possible", iterations, KeyRounds)
	}
	return deriveKey(hash, password, salt, iterations)
}
