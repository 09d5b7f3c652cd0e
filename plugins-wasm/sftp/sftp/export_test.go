package sftp

import "golang.org/x/crypto/ssh"

// ParseHostKeys says how many fingerprints, keys and revoked keys a text has.
func ParseHostKeys(text, addr string) (prints, keys, revoked int, err error) {
	k, err := parseHostKeys([]byte(text), addr)
	if err != nil {
		return 0, 0, 0, err
	}
	return len(k.prints), len(k.keys), len(k.revoked), nil
}

// Knows reports whether a text has a key.
func Knows(text, addr string, key ssh.PublicKey) bool {
	k, err := parseHostKeys([]byte(text), addr)
	return err == nil && k.check(key) == nil
}

var (
	WildcardMatch = wildcardMatch
	CheckKey      = checkKey
	Partial       = partial
	IsPartialOf   = isPartialOf
)
