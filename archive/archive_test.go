package archive_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield/archive"
)

const (
	uuidA = "11111111-1111-4111-8111-111111111111"
	uuidB = "22222222-2222-4222-8222-222222222222"
)

var levels = []archive.Level{archive.Fastest, archive.Default, archive.Better, archive.None}

func header() archive.Header {
	return archive.Header{
		Archive: uuidA, TargetUUID: uuidB, TargetName: "orders",
		Plugin: "postgres", PluginVersion: "1.0.0", PluginDigest: "sha256:00",
		TakenAt: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC),
	}
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// random returns n bytes that do not compress.
func random(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// text returns n bytes that look like rows of a dump.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("shield orders active closed pending the quick brown fox jumps over lazy dogs and returns home")
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(time.Unix(r.Int64N(1<<31), 0).UTC().Format(time.RFC3339))
		for range 12 {
			b.WriteByte('\t')
			b.WriteString(words[r.IntN(len(words))])
		}
		b.WriteByte('\n')
	}
	return b.Bytes()[:n]
}

// sealed returns a good archive of raw.
func sealed(t testing.TB, raw []byte, opts *archive.WriterOptions) ([]byte, archive.Summary) {
	t.Helper()
	var blob bytes.Buffer
	w, err := archive.NewWriter(&blob, header(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return blob.Bytes(), sum
}

// open reads an archive to its end, good or bad.
func open(src io.Reader, opts *archive.ReaderOptions) ([]byte, archive.Summary, error) {
	r, err := archive.NewReader(src, opts)
	if err != nil {
		return nil, archive.Summary{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return raw, archive.Summary{}, err
	}
	sum, err := r.Summary()
	return raw, sum, err
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	id := identity(t)
	contents := map[string][]byte{
		"empty": {}, "one byte": {7},
		"segment-1": text(2<<20 - 1), "segment": text(2 << 20), "segment+1": text(2<<20 + 1),
		"text": text(10 << 20), "random": random(10 << 20), "zeros": make([]byte, 3<<20+5),
	}
	for name, raw := range contents {
		for _, level := range levels {
			if level == archive.Better && testing.Short() {
				raw = raw[:min(len(raw), 2<<20)] // it is slow, above all with -race
			}
			for _, recipients := range [][]age.Recipient{nil, {id.Recipient()}} {
				kind := map[bool]string{true: "/sealed", false: "/plain"}[recipients != nil]
				t.Run(name+"/"+string(level)+kind, func(t *testing.T) {
					t.Parallel()
					blob, want := sealed(t, raw, &archive.WriterOptions{Level: level, Recipients: recipients})
					got, sum, err := open(bytes.NewReader(blob), &archive.ReaderOptions{
						Identities: []age.Identity{id}, DigestSealed: true,
					})
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, raw) {
						t.Error("raw bytes differ")
					}
					if diff := cmp.Diff(want, sum); diff != "" {
						t.Errorf("summary of the reader (-writer +reader):\n%s", diff)
					}
				})
			}
		}
	}
}
