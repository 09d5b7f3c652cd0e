package pg

import "strings"

// A Kind is what a stream is.
type Kind string

// The kinds, in words that end a sentence.
const (
	KindNone  Kind = "of no kind that is known"
	KindOne   Kind = "a dump of one database"
	KindAll   Kind = "a dump of several databases"
	KindFiles Kind = "a copy of the files of a cluster (method physical)"
)

// KindSize is how many bytes tell the kind.
const KindSize = 512

// KindOf returns what the stream is that begins so.
func KindOf(begin []byte) Kind {
	switch {
	case strings.HasPrefix(string(begin), Magic):
		return KindOne
	case strings.HasPrefix(string(begin), "--\n"+clusterMark):
		return KindAll
	case len(begin) >= KindSize && string(begin[257:262]) == "ustar":
		return KindFiles
	}
	return KindNone
}
