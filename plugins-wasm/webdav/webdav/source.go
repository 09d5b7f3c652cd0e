package webdav

import (
	"errors"
	"io"

	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// A source is the body of a request: the beginning of a file, which can be
// given again, and the rest, which cannot. It also ends where its tail fails,
// which remembers that.
type source struct {
	head     *rest.Block
	tail     *stream.Reader
	size     int64 // given
	consumed bool  // some of the tail was given
	ended    bool
}

// again returns the body from its beginning.
func (s *source) again() io.Reader {
	if s.consumed {
		return errReader{errors.New("the beginning of the archive is not there any more")}
	}
	s.size, s.ended = s.head.Size, false
	return io.MultiReader(s.head.Reader(0), (*sourceTail)(s))
}

type sourceTail source

// Read implements io.Reader.
func (s *sourceTail) Read(p []byte) (int, error) {
	n, err := s.tail.Read(p)
	s.size += int64(n)
	s.consumed = s.consumed || n > 0
	s.ended = errors.Is(err, io.EOF)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
