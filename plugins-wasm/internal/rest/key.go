package rest

import (
	"crypto/rand"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shieldhq/shield"
)

// CheckKey returns why a key cannot be the name of an object, Invalid. What
// object stores, proxies and capabilities disagree about is refused.
func CheckKey(key string) error {
	if problem := nameProblem(key); problem != "" {
		return shield.FieldErrorf("key", "%q %s", key, problem)
	}
	return nil
}

// CheckPrefix is CheckKey for the prefix that a store puts before all keys. It
// may be empty, and loses the slashes at its ends.
func CheckPrefix(prefix string) (string, error) {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return "", nil
	}
	if problem := nameProblem(prefix); problem != "" {
		return "", shield.FieldErrorf("endpoint.prefix", "%q %s", prefix, problem)
	}
	return prefix + "/", nil
}

// nameLimit leaves room for a prefix: services take 1024 bytes or characters
// in all.
const nameLimit = 1024

func nameProblem(name string) string {
	switch {
	case name == "":
		return "is empty: a path like 2026/01/31/name is wanted"
	case len(name) > nameLimit:
		return "is longer than 1024 bytes"
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has a control character"
	case strings.Contains(name, `\`):
		return "has a backslash: segments are separated by /"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return "has an empty segment"
		case strings.HasSuffix(part, "."):
			return "has a segment that ends in a dot, which object stores drop"
		}
	}
	return ""
}

// Escape returns a key as it stands in a URL: everything but letters, digits,
// "-", "_", "." and "~" becomes percent signs with hexadecimal digits; a slash
// only if it is to.
func Escape(key string, slash bool) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~', c == '/' && !slash:
			b.WriteByte(c)
		default:
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

// Token returns a text that nothing else has: it marks the object that one
// upload made, so that it can be told from another of the same name.
func Token() string { return strings.ToLower(rand.Text()) }
