package archive_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

func seeds(f *testing.F, pattern string) {
	f.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// FuzzReader feeds hostile payloads: no panic, no code but Corrupt and
// Invalid, and no good end unless length and digest fit.
func FuzzReader(f *testing.F) {
	seeds(f, "*.blob")
	f.Fuzz(func(t *testing.T, blob []byte) {
		raw, sum, err := open(bytes.NewReader(blob), &archive.ReaderOptions{Workers: 1})
		if err == nil && sum.RawSize != int64(len(raw)) {
			t.Errorf("%d bytes with a summary that says %d", len(raw), sum.RawSize)
		}
		if code := shield.CodeOf(err); err != nil && code != shield.Corrupt && code != shield.Invalid {
			t.Errorf("error %v has code %s", err, code)
		}
	})
}

// FuzzManifest feeds hostile manifests.
func FuzzManifest(f *testing.F) {
	seeds(f, "*.manifest")
	f.Fuzz(func(t *testing.T, data []byte) {
		m, _, err := archive.InspectManifest(data, nil)
		if err == nil && m == nil {
			t.Error("neither a manifest nor an error")
		}
		if code := shield.CodeOf(err); err != nil && code != shield.Corrupt && code != shield.Invalid {
			t.Errorf("error %v has code %s", err, code)
		}
	})
}

// TestHostileFrames checks that what a frame asks for is bounded before
// anything is allocated for it.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	good, _ := sealed(t, nil, nil)
	head := good[:8+binary.LittleEndian.Uint32(good[4:])]
	magic := []byte{0x28, 0xB5, 0x2F, 0xFD}
	for name, tail := range map[string][]byte{
		"content of 2 GiB":      append(magic, 0xA0, 0, 0, 0, 0x80),
		"content of 2^63":       append(magic, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x80),
		"no content":            append(magic, 0x20, 0, 1, 0, 0),
		"no content size":       append(magic, 0x00, 0x58, 1, 0, 0),
		"window of 3.75 TiB":    append(magic, 0x80, 0xFF, 1, 0, 0, 0),
		"dictionary":            append(magic, 0x21, 1, 1),
		"reserved bit":          append(magic, 0x28, 1),
		"reserved block":        append(magic, 0x20, 1, 7, 0, 0),
		"block of 2 MiB":        append(magic, 0x20, 1, 0xF8, 0xFF, 0xFF),
		"more than announced":   append(magic, 0x20, 1, 0x11, 0, 0, 'a', 'b'),
		"less than announced":   append(magic, 0x20, 2, 0x09, 0, 0, 'a'),
		"empty blocks":          append(append(magic, 0x20, 1), make([]byte, 1<<20)...),
		"trailer of 4 GiB":      []byte("\x5D\x2A\x4D\x18\xFF\xFF\xFF\xFFshieldT1"),
		"index of nothing":      []byte("\x5D\x2A\x4D\x18\x2C\x00\x00\x00shieldI1" + string(make([]byte, 36))),
		"trailer without foot":  []byte("\x5D\x2A\x4D\x18\x0A\x00\x00\x00shieldT1{}"),
		"skippable cut short":   []byte("\x50\x2A\x4D\x18\xFF\xFF\xFF\xFF"),
		"second header, no end": head,
	} {
		blob := append(bytes.Clone(head), tail...)
		_, _, err := open(bytes.NewReader(blob), &archive.ReaderOptions{Workers: 1})
		if shield.CodeOf(err) != shield.Corrupt {
			t.Errorf("%s: error %v, wanted code corrupt", name, err)
		}
	}
}

func TestForeignFramesArePassedOver(t *testing.T) {
	t.Parallel()
	good, _ := sealed(t, nil, nil)
	head := good[:8+binary.LittleEndian.Uint32(good[4:])]
	for name, foreign := range map[string]string{
		"other magic": "\x50\x2A\x4D\x18\x03\x00\x00\x00abc",
		"other tag":   "\x5D\x2A\x4D\x18\x09\x00\x00\x00shieldX1z",
		"short":       "\x5D\x2A\x4D\x18\x00\x00\x00\x00",
	} {
		blob := string(head) + foreign + string(good[len(head):])
		if _, _, err := open(bytes.NewReader([]byte(blob)), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
