package archive_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/shieldhq/shield/archive"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// golden returns the file, after writing data to it with -update.
func golden(t testing.TB, name string, data func() []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, data(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// goldenIdentity protects nothing but the files in testdata. It is never
// rewritten: the sealed files depend on it.
func goldenIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	key, err := os.ReadFile(filepath.Join("testdata", "identity.txt"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func goldenRaw() []byte { return slices.Concat(text(2000), random(100)) }

// TestGolden opens archives that earlier versions of shield wrote.
func TestGolden(t *testing.T) {
	id := goldenIdentity(t)
	for _, level := range levels {
		for kind, recipients := range map[string][]age.Recipient{"plain": nil, "sealed": {id.Recipient()}} {
			name := string(level) + "." + kind
			blob := golden(t, name+".blob", func() []byte {
				blob, _ := sealed(t, goldenRaw(), &archive.WriterOptions{Level: level, Recipients: recipients})
				return blob
			})
			r, err := archive.NewReader(bytes.NewReader(blob), &archive.ReaderOptions{Identities: []age.Identity{id}})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			raw, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(raw, goldenRaw()) {
				t.Errorf("%s: %v", name, err)
			}
			want := header()
			want.Format, want.Version, want.Kind = archive.StreamFormat, archive.StreamVersion, archive.StreamKind
			if diff := cmp.Diff(want, r.Header()); diff != "" {
				t.Errorf("%s: header (-want +got):\n%s", name, diff)
			}
			r.Close()
		}
	}
}

// TestGoldenBytes holds the writer to the format, byte for byte, where no
// choice of the compressor is in it.
func TestGoldenBytes(t *testing.T) {
	want := golden(t, "none.plain.blob", func() []byte {
		blob, _ := sealed(t, goldenRaw(), &archive.WriterOptions{Level: archive.None})
		return blob
	})
	got, _ := sealed(t, goldenRaw(), &archive.WriterOptions{Level: archive.None})
	if !bytes.Equal(want, got) {
		t.Errorf("the writer makes other bytes:\n%s", cmp.Diff(trace(t, want), trace(t, got)))
	}
}

func TestGoldenTrace(t *testing.T) {
	id := goldenIdentity(t)
	for _, name := range []string{"none.plain", "fastest.plain", "fastest.sealed"} {
		payload, err := os.ReadFile(filepath.Join("testdata", name+".blob"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "sealed") {
			r, err := age.Decrypt(bytes.NewReader(payload), id)
			if err != nil {
				t.Fatal(err)
			}
			if payload, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		got := trace(t, payload)
		want := golden(t, name+".trace", func() []byte { return []byte(got) })
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestGoldenManifest(t *testing.T) {
	id := goldenIdentity(t)
	for kind, recipients := range map[string][]age.Recipient{"plain": nil, "sealed": {id.Recipient()}} {
		data := golden(t, kind+".manifest", func() []byte {
			data, err := archive.SealManifest(manifest(), signer(1), recipients)
			if err != nil {
				t.Fatal(err)
			}
			return data
		})
		got, err := archive.OpenManifest(data, []age.Identity{id}, public(signer(1)))
		if err != nil {
			t.Fatal(err)
		}
		want := manifest()
		want.Format, want.Version = archive.ManifestFormat, archive.ManifestVersion
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	data, err := archive.SealManifest(manifest(), signer(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := golden(t, "plain.manifest", func() []byte { return data }); !bytes.Equal(data, want) {
		t.Errorf("SealManifest makes other bytes:\n%s", cmp.Diff(string(want), string(data)))
	}
}

// TestIndexFindsFrames goes from the end of the payload to one frame, as who
// can only read ranges does.
func TestIndexFindsFrames(t *testing.T) {
	t.Parallel()
	raw := slices.Concat(text(4<<20), random(2<<20), text(1000))
	payload, _ := sealed(t, raw, nil)
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(payload[at:])) }
	var trailer struct{ Index int }
	at := len(payload) - u32(len(payload)-4)
	if err := json.Unmarshal(payload[at+16:len(payload)-4], &trailer); err != nil {
		t.Fatal(err)
	}
	index := trailer.Index + 16
	offset, n := u32(index+8), u32(index+32)
	if n != 4 {
		t.Fatalf("index has %d entries, wanted 4", n)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	rest := raw
	for i := range n {
		length, size := u32(index+36+8*i), u32(index+40+8*i)
		got, err := dec.DecodeAll(payload[offset:offset+length], nil)
		if err != nil || !bytes.Equal(got, rest[:size]) {
			t.Errorf("frame %d: %v", i, err)
		}
		offset, rest = offset+length, rest[size:]
	}
}

// A tracer prints a payload field by field, from the specification alone.
type tracer struct {
	p   []byte
	at  int
	out strings.Builder
}

func (tr *tracer) field(n int, format string, args ...any) []byte {
	b := tr.p[tr.at : tr.at+n]
	shown := b[:min(n, 16)]
	dots := map[bool]string{true: "..", false: ""}[n > 16]
	fmt.Fprintf(&tr.out, "%06x  %-34s  %s\n", tr.at, fmt.Sprintf("%x%s", shown, dots), fmt.Sprintf(format, args...))
	tr.at += n
	return b
}

func (tr *tracer) peek32(off int) int { return int(binary.LittleEndian.Uint32(tr.p[tr.at+off:])) }

func trace(t testing.TB, payload []byte) string {
	t.Helper()
	tr := &tracer{p: payload}
	for tr.at < len(tr.p) {
		if tr.peek32(0) == 0xFD2FB528 {
			tr.frame()
		} else {
			tr.skippable()
		}
	}
	return tr.out.String()
}

func (tr *tracer) skippable() {
	tr.field(4, "magic of a skippable frame, 0x184D2A5D")
	size := tr.peek32(0)
	tr.field(4, "content of %d bytes", size)
	tag := string(tr.field(8, "tag %q", tr.p[tr.at:tr.at+8]))
	size -= 8
	switch tag {
	case "shieldH1":
		tr.field(size, "header %s", tr.p[tr.at:tr.at+size])
	case "shieldT1":
		tr.field(size-4, "trailer %s", tr.p[tr.at:tr.at+size-4])
		tr.field(4, "length of this frame %d", tr.peek32(0))
	case "shieldI1":
		tr.field(8, "number of the first frame %d", tr.peek32(0))
		tr.field(8, "its offset in the payload %d", tr.peek32(0))
		tr.field(8, "its offset in the raw bytes %d", tr.peek32(0))
		tr.field(8, "offset of the index frame before %d", tr.peek32(0))
		n := tr.peek32(0)
		tr.field(4, "%d entries", n)
		for range n {
			tr.field(4, "frame of %d bytes", tr.peek32(0))
			tr.field(4, "of %d raw bytes", tr.peek32(0))
		}
	}
}

// frame knows only single-segment frames with a content size of 2 or 4 bytes,
// which are all that is in testdata.
func (tr *tracer) frame() {
	tr.field(4, "magic of a zstd frame, 0xFD2FB528")
	d := tr.field(1, "descriptor")[0]
	if d>>6 == 1 {
		tr.field(2, "content size %d", tr.peek32(0)&0xFFFF+256)
	} else {
		tr.field(4, "content size %d", tr.peek32(0))
	}
	for last := false; !last; {
		v := tr.peek32(0) & 0xFFFFFF
		last = v&1 == 1
		tr.field(3, "block, last %t, type %d, size %d", last, v>>1&3, v>>3)
		tr.field(v>>3, "content")
	}
	if d&4 != 0 {
		tr.field(4, "low half of XXH64")
	}
}
