package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"filippo.io/age"

	"github.com/shieldhq/shield/archive"
)

const benchSize = 64 << 20

func benchCases(b *testing.B, run func(b *testing.B, raw []byte, id *age.X25519Identity, opts *archive.WriterOptions)) {
	id := identity(b)
	for name, raw := range map[string][]byte{"text": text(benchSize), "random": random(benchSize)} {
		for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
			for kind, recipients := range map[string][]age.Recipient{"sealed": {id.Recipient()}, "plain": nil} {
				b.Run(fmt.Sprintf("%s/%s/workers=%d", name, kind, workers), func(b *testing.B) {
					b.SetBytes(benchSize)
					b.ReportAllocs()
					run(b, raw, id, &archive.WriterOptions{Recipients: recipients, Workers: workers})
				})
			}
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	benchCases(b, func(b *testing.B, raw []byte, _ *age.X25519Identity, opts *archive.WriterOptions) {
		for b.Loop() {
			w, err := archive.NewWriter(io.Discard, header(), opts)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.ReadFrom(bytes.NewReader(raw)); err != nil {
				b.Fatal(err)
			}
			if _, err := w.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	benchCases(b, func(b *testing.B, raw []byte, id *age.X25519Identity, opts *archive.WriterOptions) {
		blob, _ := sealed(b, raw, opts)
		for b.Loop() {
			r, err := archive.NewReader(bytes.NewReader(blob), &archive.ReaderOptions{
				Identities: []age.Identity{id}, Workers: opts.Workers,
			})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := r.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}
