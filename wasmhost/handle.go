package wasmhost

import "io"

// A handle is what the guest has opened. No method waits: one that cannot do
// its work yet returns errAgain, and the wake channel of the instance gets a
// signal when trying again may help.
type handle interface {
	// peek returns bytes to be read, io.EOF at the end; advance says how
	// many of them were used.
	peek() ([]byte, error)
	advance(n int)
	write(p []byte) (int, error)
	// shut ends the writing side, after all that was written was taken, and
	// returns the first error that writing met.
	shut() error
	// stat returns what is known of the other side once it is.
	stat() (map[string]any, error)
	// close ends what is unfinished and frees all of it.
	close()
}

// A directReader is a handle that never waits and has no buffer of its own.
type directReader interface {
	readInto(p []byte) (int, error)
}

// A stream is a handle made of two rings. Each side may be nil.
type stream struct {
	in, out *ring
	status  func() (map[string]any, error)
	end     func()
	shutting,
	lent bool // the stream is what another handle works on
}

var _ handle = (*stream)(nil)

func (s *stream) peek() ([]byte, error) {
	if s.lent {
		return nil, errNotConnected
	}
	if s.in == nil {
		return nil, errBadHandle
	}
	return s.in.peek()
}

func (s *stream) advance(n int) { s.in.advance(n) }

func (s *stream) write(p []byte) (int, error) {
	switch {
	case s.lent:
		return 0, errNotConnected
	case s.out == nil:
		return 0, errBadHandle
	case s.shutting:
		return 0, errPipe
	case len(p) == 0: // asks whether there is room
		_, err := s.out.space()
		return 0, err
	}
	return s.out.write(p)
}

func (s *stream) shut() error {
	if s.lent {
		return errNotConnected
	}
	if s.out == nil {
		return errBadHandle
	}
	if !s.shutting {
		s.shutting = true
		s.out.finish(io.EOF)
	}
	return s.out.drained()
}

func (s *stream) stat() (map[string]any, error) {
	if s.status == nil {
		return map[string]any{}, nil
	}
	return s.status()
}

func (s *stream) close() {
	if s.end != nil {
		s.end()
	}
	if s.in != nil {
		s.in.abandon(errPipe)
	}
	if s.out != nil {
		s.out.finish(errPipe)
	}
}

// The bits of poll.
const (
	pollRead  = 1
	pollWrite = 2
	pollStat  = 4
)

// ready returns which of the wanted things would not have to wait. A side
// that has failed is ready: trying tells the error.
func ready(h handle, want uint16) (got uint16) {
	if want&pollRead != 0 {
		if _, err := h.peek(); !again(err) {
			got |= pollRead
		}
	}
	if want&pollWrite != 0 && writable(h) {
		got |= pollWrite
	}
	if want&pollStat != 0 {
		if _, err := h.stat(); !again(err) {
			got |= pollStat
		}
	}
	return got
}

// writable reports whether writing would not make the guest wait. Handles
// that have no room of their own never do.
func writable(h handle) bool {
	r, ok := h.(interface{ room() bool })
	return !ok || r.room()
}

// room reports whether there is space, or, once the stream is being shut,
// whether that is done. Commands and connections have it of their streams.
func (s *stream) room() bool {
	if s.out == nil || s.lent {
		return true
	}
	if s.shutting {
		return !again(s.out.drained())
	}
	_, err := s.out.space()
	return !again(err)
}
