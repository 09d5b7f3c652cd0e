//go:build !wasip1

package pdk

import (
	"crypto/pbkdf2"
	"crypto/sha1" // what databases log in by, too
	"crypto/sha256"
	"fmt"
)

func deriveKey(hash, password string, salt []byte, iterations int) ([]byte, error) {
	switch hash {
	case "sha1":
		return pbkdf2.Key(sha1.New, password, salt, iterations, sha1.Size)
	case "sha256":
		return pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	}
	return nil, fmt.Errorf(`the hash is %.40q: "sha1" or "sha256" is wanted`, hash)
}
