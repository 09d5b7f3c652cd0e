package archive_test

import (
	"bytes"
	"io"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/shieldhq/shield/archive"
)

// TestAnyWritesAnyReads writes in pieces of odd sizes, reads in pieces of
// other odd sizes, and expects the same bytes.
func TestAnyWritesAnyReads(t *testing.T) {
	t.Parallel()
	id := identity(t)
	source := append(text(1<<20+1<<19), random(1<<20+1<<19)...)
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(source)).Draw(t, "from")
		raw := source[from : from+rapid.IntRange(0, len(source)-from).Draw(t, "size")]
		opts := &archive.WriterOptions{
			Level:   rapid.SampledFrom(levels).Draw(t, "level"),
			Workers: rapid.IntRange(1, 4).Draw(t, "workers"),
		}
		if rapid.Bool().Draw(t, "encrypt") {
			opts.Recipients = []age.Recipient{id.Recipient()}
		}
		piece := rapid.SampledFrom([]int{1 << 10, 4095, 65537, 1 << 20, 1<<20 + 1, 5 << 20})
		var blob bytes.Buffer
		w, err := archive.NewWriter(&blob, header(), opts)
		if err != nil {
			t.Fatal(err)
		}
		for n, rest := piece.Draw(t, "write"), raw; len(rest) > 0; rest = rest[min(n, len(rest)):] {
			if _, err := w.Write(rest[:min(n, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := archive.NewReader(&blob, &archive.ReaderOptions{Identities: []age.Identity{id}, Workers: opts.Workers})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, p := []byte{}, make([]byte, piece.Draw(t, "read"))
		for err == nil {
			var n int
			n, err = r.Read(p)
			got = append(got, p[:n]...)
		}
		if err != io.EOF || !bytes.Equal(got, raw) {
			t.Fatalf("%d bytes read of %d: %v", len(got), len(raw), err)
		}
	})
}
