package archive_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

// A specimen is a good archive for others to damage.
type specimen struct {
	raw  []byte
	blob []byte
	sum  archive.Summary
	opts *archive.ReaderOptions
}

// specimens returns a sealed and a plain archive of raw.
func specimens(t testing.TB, raw []byte, level archive.Level) map[string]specimen {
	t.Helper()
	id := identity(t)
	opts := &archive.ReaderOptions{Identities: []age.Identity{id}, Workers: 1}
	out := map[string]specimen{}
	for name, recipients := range map[string][]age.Recipient{"sealed": {id.Recipient()}, "plain": nil} {
		blob, sum := sealed(t, raw, &archive.WriterOptions{Level: level, Recipients: recipients, Workers: 1})
		out[name] = specimen{raw, blob, sum, opts}
	}
	return out
}

// refuse fails the test unless the blob is refused with one of the codes.
func (s specimen) refuse(t *testing.T, what string, blob []byte, codes ...shield.Code) {
	t.Helper()
	raw, _, err := open(bytes.NewReader(blob), s.opts)
	if err == nil {
		t.Errorf("%s: opened without an error, data equal: %t", what, bytes.Equal(raw, s.raw))
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%s: error %v is one of package io", what, err)
	}
	if !slices.Contains(codes, shield.CodeOf(err)) {
		t.Errorf("%s: error %v has code %s, wanted %v", what, err, shield.CodeOf(err), codes)
	}
	if !bytes.HasPrefix(s.raw, raw) {
		t.Errorf("%s: wrong data before the error", what)
	}
}

// wanting returns the specimen with a reader that knows what it wants.
func (s specimen) wanting() specimen {
	opts := *s.opts
	opts.Want = &archive.Expect{Archive: uuidA, SealedDigest: s.sum.SealedDigest}
	s.opts = &opts
	return s
}

func TestFlippedByte(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{"small": text(300), "large": slices.Concat(text(1<<20), random(300<<10))} {
		for kind, s := range specimens(t, raw, archive.Fastest) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				step := 1 + len(s.blob)/1000
				if name == "large" {
					step = 1 + len(s.blob)/25
				}
				for i := 0; i < len(s.blob); i += step {
					damaged := bytes.Clone(s.blob)
					damaged[i] ^= 1 << (i % 8)
					s.wanting().refuse(t, "with what is wanted", damaged, shield.Corrupt, shield.Invalid)
					if kind == "sealed" {
						s.refuse(t, "without", damaged, shield.Corrupt, shield.Invalid)
						continue
					}
					// Nothing protects the names in a plain header. The data is.
					if got, _, err := open(bytes.NewReader(damaged), s.opts); err == nil && !bytes.Equal(got, raw) {
						t.Errorf("byte %d flipped: wrong data and no error", i)
					}
				}
			})
		}
	}
}

func TestCutShort(t *testing.T) {
	t.Parallel()
	for kind, s := range specimens(t, text(300), archive.Fastest) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for n := range s.blob {
				s.refuse(t, "cut", s.blob[:n], shield.Corrupt)
			}
		})
	}
	for kind, s := range specimens(t, random(1<<20), archive.Fastest) {
		t.Run("chunks/"+kind, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 2, 7, 8, 9, 15, 16} {
				head := len(s.blob) - len(s.blob)%(64<<10+16)
				s.refuse(t, "cut near a chunk's end", s.blob[:min(head, n*(64<<10+16))], shield.Corrupt)
				s.refuse(t, "cut", s.blob[:n*(64<<10)], shield.Corrupt)
			}
		})
	}
}

func TestGarbageBehind(t *testing.T) {
	t.Parallel()
	skippable := []byte{0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0}
	for kind, s := range specimens(t, text(1000), archive.Default) {
		for what, tail := range map[string][]byte{
			"byte": {0}, "zeros": make([]byte, 1<<20), "itself": s.blob, "skippable frame": skippable,
		} {
			s.refuse(t, kind+" and "+what, slices.Concat(s.blob, tail), shield.Corrupt)
		}
	}
}

func TestChunksOutOfPlace(t *testing.T) {
	t.Parallel()
	s := specimens(t, random(400<<10), archive.None)["sealed"]
	base := bytes.Index(s.blob, []byte("\n--- "))
	base += 1 + bytes.IndexByte(s.blob[base+1:], '\n') + 1 + 16
	chunk := func(i int) []byte { return s.blob[base+i*(64<<10+16) : base+(i+1)*(64<<10+16)] }
	start, end := s.blob[:base], s.blob[base+3*(64<<10+16):]
	s.refuse(t, "swapped", slices.Concat(start, chunk(0), chunk(2), chunk(1), end), shield.Corrupt)
	s.refuse(t, "doubled", slices.Concat(start, chunk(0), chunk(0), chunk(1), chunk(2), end), shield.Corrupt)
	s.refuse(t, "dropped", slices.Concat(start, chunk(0), chunk(2), end), shield.Corrupt)
	s.refuse(t, "first only", slices.Concat(start, chunk(0)), shield.Corrupt)
}

func TestWrongArchive(t *testing.T) {
	t.Parallel()
	for kind, s := range specimens(t, text(1000), archive.Fastest) {
		for what, tt := range map[string]struct {
			want archive.Expect
			code shield.Code
		}{
			"archive":       {archive.Expect{Archive: uuidB}, shield.Corrupt},
			"seal":          {archive.Expect{Seal: "age-encryption.org/v1\n"}, shield.Corrupt},
			"raw size":      {archive.Expect{RawSize: 999}, shield.Corrupt},
			"raw digest":    {archive.Expect{RawDigest: "blake3:00"}, shield.Corrupt},
			"sealed size":   {archive.Expect{SealedSize: 1}, shield.Corrupt},
			"sealed digest": {archive.Expect{SealedDigest: "blake3:00"}, shield.Corrupt},
		} {
			opts := *s.opts
			opts.Want, opts.DigestSealed = &tt.want, true
			_, _, err := open(bytes.NewReader(s.blob), &opts)
			if shield.CodeOf(err) != tt.code {
				t.Errorf("%s, other %s: error %v, wanted code %s", kind, what, err, tt.code)
			}
		}
		opts := *s.opts
		opts.Want = &archive.Expect{Archive: uuidB}
		if r, err := archive.NewReader(bytes.NewReader(s.blob), &opts); err == nil {
			r.Close()
			t.Errorf("%s: NewReader opened another archive than the one wanted", kind)
		}
	}
}

// TestForgery seals another content under the same UUID to the same public
// key, which anybody can. Who knows the seal is told before the first byte.
func TestForgery(t *testing.T) {
	t.Parallel()
	id := identity(t)
	opts := &archive.WriterOptions{Recipients: []age.Recipient{id.Recipient()}}
	_, sum := sealed(t, text(1000), opts)
	forged, _ := sealed(t, random(1000), opts)
	plain, _ := sealed(t, random(1000), nil)
	for what, blob := range map[string][]byte{"sealed": forged, "not encrypted": plain} {
		r, err := archive.NewReader(bytes.NewReader(blob), &archive.ReaderOptions{
			Identities: []age.Identity{id}, Want: &archive.Expect{Archive: uuidA, Seal: sum.Seal},
		})
		if shield.CodeOf(err) != shield.Corrupt {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			r.Close()
		}
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	s := specimens(t, text(1000), archive.Fastest)["sealed"]
	for what, opts := range map[string]*archive.ReaderOptions{
		"no options":       nil,
		"nothing":          {},
		"other identity":   {Identities: []age.Identity{identity(t)}},
		"other file key":   {FileKey: make([]byte, 16)},
		"no file key":      {FileKey: make([]byte, 15)},
		"several of other": {Identities: []age.Identity{identity(t), identity(t)}},
	} {
		s.opts = opts
		s.refuse(t, what, s.blob, shield.Invalid)
	}
}

func TestFileKey(t *testing.T) {
	t.Parallel()
	s := specimens(t, text(1000), archive.Fastest)["sealed"]
	for what, head := range map[string][]byte{"seal": []byte(s.sum.Seal), "start of the blob": s.blob[:400]} {
		key, err := archive.FileKey(head, s.opts.Identities...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		raw, _, err := open(bytes.NewReader(s.blob), &archive.ReaderOptions{FileKey: key})
		if err != nil || !bytes.Equal(raw, s.raw) {
			t.Errorf("%s: file key does not open the archive: %v", what, err)
		}
	}
	if _, err := archive.FileKey([]byte("age-encryption.org/v1\n"), s.opts.Identities...); shield.CodeOf(err) != shield.Corrupt {
		t.Errorf("FileKey of half a header: %v", err)
	}
	if _, err := archive.FileKey([]byte(s.sum.Seal), identity(t)); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("FileKey with another identity: %v", err)
	}
}
