package restic

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shieldhq/shield"
)

const keyLimit = 1024

// checkKey refuses a key that cannot be the path of a file in a snapshot.
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
	case !utf8.ValidString(key):
		return "is not UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "has a control character"
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return `has a segment that is empty, "." or ".."`
		}
	}
	return ""
}

// escape returns a key as it stands in tags, which commas separate, and in
// paths: everything but letters, digits, "-", "_", "." and "~" becomes percent
// signs with hexadecimal digits.
func escape(key string) string {
	segments := strings.Split(key, "/")
	for n, s := range segments {
		segments[n] = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	}
	return strings.Join(segments, "/")
}

// unescape is the reverse; false for what escape does not make.
func unescape(text string) (string, bool) {
	key, err := url.PathUnescape(text)
	return key, err == nil && escape(key) == text && keyProblem(key) == ""
}
