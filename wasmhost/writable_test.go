package wasmhost

import "testing"

// TestWritable: what is made of a stream is writable like one. A guest that
// were told that it could write would try again and again.
func TestWritable(t *testing.T) {
	for name, of := range map[string]func(*stream) handle{
		"stream":   func(s *stream) handle { return s },
		"exchange": func(s *stream) handle { return &exchange{stream: s} },
		"link":     func(s *stream) handle { return &link{stream: s} },
	} {
		t.Run(name, func(t *testing.T) {
			s := &stream{out: newRing(16, newSignal(), newSignal())}
			h := of(s)
			for _, c := range []struct {
				write, read int
				want        bool
			}{{0, 0, true}, {8, 0, true}, {1, 0, false}, {7, 0, false}, {0, 7, false}, {0, 1, true}} {
				if _, err := s.out.write(make([]byte, c.write)); err != nil {
					t.Fatal(err)
				}
				s.out.advance(c.read)
				if got := writable(h); got != c.want {
					t.Errorf("after %d in and %d out: writable %t, want %t", c.write, c.read, got, c.want)
				}
			}
			s.out.abandon(errPipe)
			if !writable(h) {
				t.Error("a writer that must fail is not told")
			}
		})
	}
}
