package fs

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shieldhq/shield"
)

const (
	keyLimit  = 1024
	partLimit = 200 // of 255, so that the temporary name fits too

	partialPrefix = "."
	partialSuffix = ".partial"
)

// checkKey returns Invalid unless a key names a blob below the base
// directory.
func checkKey(key string) error {
	if problem := keyProblem(key); problem != "" {
		return shield.FieldErrorf("key", "%.100q %s: a path like 2026/01/31/name is wanted", key, problem)
	}
	return nil
}

func keyProblem(key string) string {
	switch {
	case key == "":
		return "is empty"
	case len(key) > keyLimit:
		return "is too long"
	case !utf8.ValidString(key):
		return "is not valid UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "has control characters"
	case strings.HasPrefix(key, "/"):
		return "is absolute"
	case strings.Contains(key, `\`):
		return "has a backslash"
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return "has an empty, . or .. segment"
		case len(part) > partLimit:
			return "has a segment that is too long"
		case isPartial(part):
			return "has the form of a temporary name"
		}
	}
	return ""
}

// partial is where a blob is until it is whole. It follows from the key, so
// that deleting the key also removes what a crash left.
func partial(key string) string {
	folder, name := path.Split(key)
	return folder + partialPrefix + name + partialSuffix
}

func isPartial(name string) bool {
	return strings.HasPrefix(name, partialPrefix) && strings.HasSuffix(name, partialSuffix)
}

// parents returns the folders of a key, the outermost first.
func parents(key string) []string {
	var list []string
	for i := range len(key) {
		if key[i] == '/' {
			list = append(list, key[:i])
		}
	}
	return list
}
