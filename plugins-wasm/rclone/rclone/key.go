package rclone

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shieldhq/shield"
)

// parts is the folder of uploads that are not finished. Keys cannot begin
// with it.
const parts = ".shield-parts"

const keyLimit = 1024

// checkKey refuses a key that cannot be the path of a file.
func checkKey(key string) error {
	if problem := keyProblem(key); problem != "" {
		return shield.FieldErrorf("key", "%q %s", key, problem)
	}
	return nil
}

func keyProblem(key string) string {
	switch {
	case key == "":
		return "is empty: a path like 2026/01/31/name is wanted"
	case len(key) > keyLimit:
		return "is longer than 1024 bytes"
	case !utf8.ValidString(key) || strings.ContainsRune(key, utf8.RuneError):
		return "is not UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "has a control character"
	}
	for n, segment := range strings.Split(key, "/") {
		switch {
		case segment == "" || segment == "." || segment == "..":
			return `has a segment that is empty, "." or ".."`
		case n == 0 && segment == parts:
			return "begins with the folder of unfinished uploads"
		}
	}
	return ""
}

// mark begins the names of the unfinished uploads of a key.
func mark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8]) + "-"
}

// part returns a new path for an unfinished upload of a key.
func part(key string) string { return path.Join(parts, mark(key)+strings.ToLower(rand.Text()[:12])) }
