package archive_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
)

// tool skips the test where a program is missing; in CI that is a failure.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

func TestAgeReadsOurs(t *testing.T) {
	t.Parallel()
	// Payloads around the size of a chunk, where the last chunk is special.
	full := false
	for size := 64<<10 - 540; size < 64<<10-510; size++ {
		s := specimens(t, random(size), archive.None)["sealed"]
		r, err := age.Decrypt(bytes.NewReader(s.blob), s.opts.Identities...)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		full = full || len(payload) == 64<<10
		dec, err := zstd.NewReader(bytes.NewReader(payload), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(dec)
		dec.Close()
		if err != nil || !bytes.Equal(raw, s.raw) {
			t.Fatalf("%d bytes: zstd: %v", size, err)
		}
	}
	if !full {
		t.Error("no payload filled its last chunk: adjust the sizes")
	}
}

func TestOursReadsAge(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, 64<<10 - 600, 1 << 20, 5 << 20} {
		s := specimens(t, random(size), archive.Fastest)["plain"]
		id := identity(t)
		var blob bytes.Buffer
		w, err := age.Encrypt(&blob, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(s.blob); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		raw, _, err := open(&blob, &archive.ReaderOptions{Identities: []age.Identity{id}})
		if err != nil || !bytes.Equal(raw, s.raw) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	classic, other := identity(t), identity(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	raw := text(1000)
	for name, tt := range map[string]struct {
		recipients []age.Recipient
		identities []age.Identity
	}{
		"two":          {[]age.Recipient{classic.Recipient(), other.Recipient()}, []age.Identity{classic, other}},
		"post-quantum": {[]age.Recipient{hybrid.Recipient()}, []age.Identity{hybrid}},
	} {
		blob, _ := sealed(t, raw, &archive.WriterOptions{Recipients: tt.recipients})
		for i, id := range tt.identities {
			got, _, err := open(bytes.NewReader(blob), &archive.ReaderOptions{Identities: []age.Identity{id}})
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s: identity %d: %v", name, i, err)
			}
		}
	}
	// age refuses the mix by the labels of the recipients.
	_, err = archive.NewWriter(io.Discard, header(), &archive.WriterOptions{
		Recipients: []age.Recipient{classic.Recipient(), hybrid.Recipient()},
	})
	if shield.CodeOf(err) != shield.Invalid {
		t.Errorf("mix of classic and post-quantum recipients: %v", err)
	}
}

func TestDebianToolsReadOurs(t *testing.T) {
	t.Parallel()
	ageTool, zstdTool := tool(t, "age"), tool(t, "zstd")
	id := identity(t)
	key := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(key, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	contents := map[string][]byte{"empty": nil, "mixed": slices.Concat(text(1<<20+9), random(2<<20), text(70000))}
	for name, raw := range contents {
		for _, level := range levels {
			t.Run(name+"/"+string(level), func(t *testing.T) {
				t.Parallel()
				plain, _ := sealed(t, raw, &archive.WriterOptions{Level: level})
				blob, _ := sealed(t, raw, &archive.WriterOptions{Level: level, Recipients: []age.Recipient{id.Recipient()}})
				payload := run(t, blob, ageTool, "-d", "-i", key)
				for kind, p := range map[string][]byte{"sealed": payload, "plain": plain} {
					if got := run(t, p, zstdTool, "-d", "-c", "-q"); !bytes.Equal(got, raw) {
						t.Errorf("%s: zstd -d gives other bytes", kind)
					}
				}
			})
		}
	}
}

func TestOursReadsDebianAge(t *testing.T) {
	t.Parallel()
	ageTool := tool(t, "age")
	id := identity(t)
	s := specimens(t, text(3<<20), archive.Fastest)["plain"]
	blob := run(t, s.blob, ageTool, "-r", id.Recipient().String())
	raw, _, err := open(bytes.NewReader(blob), &archive.ReaderOptions{Identities: []age.Identity{id}})
	if err != nil || !bytes.Equal(raw, s.raw) {
		t.Errorf("read what age sealed: %v", err)
	}
}

func run(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return out
}
