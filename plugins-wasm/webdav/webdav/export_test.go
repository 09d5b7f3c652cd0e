package webdav

import (
	"io"
	"time"

	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// For tests.
var (
	TempName   = tempName
	IsTempOf   = isTempOf
	CheckKey   = checkKey
	TempPrefix = tempPrefix
)

// A Resource is one, for tests.
type Resource = resource

// ParseMultistatus returns what it yields.
func ParseMultistatus(r io.Reader) (all []resource, err error) {
	err = parseMultistatus(r, func(found resource) error {
		all = append(all, found)
		return nil
	})
	return all, err
}

// Challenges returns the schemes and parameters of headers.
func Challenges(lines ...string) (all []map[string]string) {
	for _, c := range parseChallenges(lines) {
		c.params[""] = c.scheme
		all = append(all, c.params)
	}
	return all
}

// Authorize answers the best of the challenges that it knows, "" if none.
func Authorize(user, password, method, uri, cnonce string, lines ...string) string {
	a := auth{kind: authDigest, user: user, password: password}
	if !a.learn(map[string][]string{"Www-Authenticate": lines}) {
		return ""
	}
	return a.digest.authorize(user, password, method, uri, cnonce)
}

// A Source is the body of a streamed request.
type Source struct{ source }

// NewSource returns one.
func NewSource(head *rest.Block, tail *stream.Reader) *Source {
	return &Source{source{head: head, tail: tail}}
}

// Again is again.
func (s *Source) Again() io.Reader { return s.again() }

// NewResource returns one that says nothing of a quota.
func NewResource(path string, folder bool, size int64, modified time.Time) resource {
	return resource{path: path, folder: folder, size: size, modified: modified, free: -1}
}
