package archive_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

// rawArchive returns the blob of a raw archive and what is known of it.
func rawArchive(t *testing.T, content string) ([]byte, *archive.Expect) {
	t.Helper()
	var blob bytes.Buffer
	w := archive.NewRawWriter(&blob)
	if _, err := io.Copy(w, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil || sum.RawSize != int64(len(content)) || sum.SealedSize != sum.RawSize || sum.SealedDigest != sum.RawDigest || sum.Seal != "" {
		t.Fatalf("%+v, %v", sum, err)
	}
	return blob.Bytes(), &archive.Expect{RawSize: sum.RawSize, RawDigest: sum.RawDigest, SealedSize: sum.SealedSize, SealedDigest: sum.SealedDigest}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "x", strings.Repeat("content", 400_000)} {
		blob, want := rawArchive(t, content)
		if string(blob) != content {
			t.Fatalf("the blob has %d bytes, and is not the content", len(blob))
		}
		for name, src := range map[string]io.Reader{
			"at once": bytes.NewReader(blob), "with the end": iotest.DataErrReader(bytes.NewReader(blob)), "halves": iotest.HalfReader(bytes.NewReader(blob)),
		} {
			r, err := archive.NewRawReader(src, want)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Summary(); err == nil {
				t.Error("a summary before the end")
			}
			got, err := io.ReadAll(r)
			if string(got) != content || err != nil {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if sum, err := r.Summary(); err != nil || sum.RawDigest != want.RawDigest {
				t.Errorf("%s: %+v, %v", name, sum, err)
			}
		}
		r, _ := archive.NewRawReader(bytes.NewReader(blob), want)
		if n, err := r.WriteTo(io.Discard); n != int64(len(content)) || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}

// TestRawDamage: no change of a blob ends in io.EOF.
func TestRawDamage(t *testing.T) {
	t.Parallel()
	blob, want := rawArchive(t, "the content of an archive")
	wrong := errors.New("wrong")
	for n := range blob {
		changed := bytes.Clone(blob)
		changed[n] ^= 4
		rawRefused(t, bytes.NewReader(changed), want, shield.Corrupt)
		rawRefused(t, bytes.NewReader(blob[:n]), want, shield.Corrupt)
		rawRefused(t, io.MultiReader(bytes.NewReader(blob[:n]), iotest.ErrReader(wrong)), want, shield.Internal)
		rawRefused(t, io.MultiReader(bytes.NewReader(blob[:n]), iotest.ErrReader(io.ErrUnexpectedEOF)), want, shield.Internal)
	}
	rawRefused(t, bytes.NewReader(append(blob, 'x')), want, shield.Corrupt)
}

func rawRefused(t *testing.T, src io.Reader, want *archive.Expect, code shield.Code) {
	t.Helper()
	r, err := archive.NewRawReader(src, want)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r)
	if shield.CodeOf(err) != code || errors.Is(err, io.EOF) {
		t.Errorf("error %v, want code %s", err, code)
	}
	if _, err := r.Summary(); err == nil {
		t.Error("a summary of a damaged archive")
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err == nil || err == io.EOF {
		t.Errorf("a read after the error: %d, %v", n, err)
	}
}

// TestRawNeedsExpectation: what does not prove itself is not opened without
// knowing what it is.
func TestRawNeedsExpectation(t *testing.T) {
	t.Parallel()
	_, want := rawArchive(t, "x")
	other := *want
	other.SealedSize++
	for code, e := range map[shield.Code][]*archive.Expect{shield.Invalid: {nil, {}, {RawSize: 1}}, shield.Corrupt: {&other}} {
		for _, e := range e {
			if _, err := archive.NewRawReader(strings.NewReader("x"), e); shield.CodeOf(err) != code {
				t.Errorf("%+v: %v", e, err)
			}
		}
	}
}

func TestRawWriterFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := archive.NewRawWriter(failingWriter{broken})
	if _, err := w.Write([]byte("x")); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := w.Close(); !errors.Is(err, broken) {
		t.Error(err)
	}
	w = archive.NewRawWriter(io.Discard)
	w.Abort(broken)
	if _, err := w.Write([]byte("x")); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := w.Close(); !errors.Is(err, broken) {
		t.Error(err)
	}
	w = archive.NewRawWriter(io.Discard)
	if _, err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a write after the end")
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestRawManifest(t *testing.T) {
	t.Parallel()
	id := identity(t)
	m := manifest()
	m.Level, m.Frames, m.Seal, m.Recipients = archive.Raw, 0, "", []string{}
	m.SealedSize, m.SealedDigest = m.RawSize, m.RawDigest
	data, err := archive.SealManifest(m, signer(1), []age.Recipient{id.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := archive.OpenManifest(data, []age.Identity{id}, public(signer(1)))
	if err != nil || got.Format != archive.RawFormat || got.Level != archive.Raw {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(m *archive.Manifest){
		"size":   func(m *archive.Manifest) { m.SealedSize++ },
		"digest": func(m *archive.Manifest) { m.SealedDigest = strings.Replace(m.SealedDigest, "blake3:0", "blake3:1", 1) },
		"frames": func(m *archive.Manifest) { m.Frames = 1 },
		"seal":   func(m *archive.Manifest) { m.Seal = "age-encryption.org/v1" },
		"sealed": func(m *archive.Manifest) { m.Recipients = []string{"age1"} },
	} {
		bad := *m
		change(&bad)
		if _, err := archive.SealManifest(&bad, signer(1), nil); shield.CodeOf(err) != shield.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.RawSize, m.SealedSize = 0, 0
	if _, err := archive.SealManifest(m, signer(1), nil); err != nil {
		t.Errorf("an empty raw archive: %v", err)
	}
}

func TestSealedWriterRefusesRaw(t *testing.T) {
	t.Parallel()
	if _, err := archive.NewWriter(io.Discard, header(), &archive.WriterOptions{Level: archive.Raw}); shield.CodeOf(err) != shield.Invalid {
		t.Error(err)
	}
}
