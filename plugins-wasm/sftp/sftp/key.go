package sftp

import (
	"path"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

const (
	// partLimit leaves room for the temporary name in the 255 bytes that file
	// systems allow.
	partLimit = 200
	// tokenSize is the length of what rest.Token makes.
	tokenSize     = 26
	partialPrefix = "."
	partialSuffix = ".partial"
)

// checkKey returns Invalid unless a key can be the path of a file.
func checkKey(key string) error {
	if err := rest.CheckKey(key); err != nil {
		return err
	}
	for part := range strings.SplitSeq(key, "/") {
		if len(part) > partLimit {
			return shield.FieldErrorf("key", "%q has a segment that is longer than %d bytes", key, partLimit)
		}
		if isPartial(part) {
			return shield.FieldErrorf("key", "%q has the form of a temporary name", key)
		}
	}
	return nil
}

// partial is where a blob is until it is whole. The token keeps two that are
// written at once apart; the rest follows from the key, so that whoever deletes
// that finds what an unfinished Put of it has left.
func partial(name, token string) string {
	folder, base := path.Split(name)
	return folder + partialPrefix + base + "." + token + partialSuffix
}

func isPartial(base string) bool {
	return strings.HasPrefix(base, partialPrefix) && strings.HasSuffix(base, partialSuffix)
}

// isPartialOf reports whether a name in a folder is a temporary one of another.
func isPartialOf(base, of string) bool {
	rest, ok := strings.CutPrefix(base, partialPrefix+of+".")
	return ok && strings.HasSuffix(rest, partialSuffix) && len(rest) == tokenSize+len(partialSuffix)
}

// full is the path of a key on the server.
func (s *store) full(key string) string { return path.Join(s.base, s.prefix+key) }

// folders returns the paths of the folders between the base directory and a
// key's file, the outermost first.
func (s *store) folders(key string) []string {
	var list []string
	below := s.prefix + key
	for i := range len(below) {
		if below[i] == '/' {
			list = append(list, path.Join(s.base, below[:i]))
		}
	}
	return list
}
