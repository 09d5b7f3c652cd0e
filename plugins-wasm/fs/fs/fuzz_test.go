package fs_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func FuzzKey(f *testing.F) {
	for _, k := range append(badKeys, key, "a", "a/b c/ä") {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		up := t.TempDir()
		dir := filepath.Join(up, "base")
		must(t, os.Mkdir(dir, 0o700))
		s := openStore(t, dir)
		_, err := s.Put(t.Context(), key, strings.NewReader("x"))
		if err != nil {
			wantCode(t, err, shield.Invalid)
			if left := tree(t, up); len(left) != 1 {
				t.Fatalf("left behind: %q", left)
			}
			return
		}
		wantFile(t, filepath.Join(dir, key), "x")
		must(t, s.Delete(t.Context(), key))
		if left := tree(t, up); len(left) != 1 {
			t.Fatalf("left behind: %q", left)
		}
	})
}

// FuzzRestore restores hostile streams: nothing may appear outside.
func FuzzRestore(f *testing.F) {
	f.Add(makeTar(f, tar.Header{Typeflag: tar.TypeReg, Name: "file", Size: 600}))
	f.Add(makeTar(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: ".."}, tar.Header{Typeflag: tar.TypeReg, Name: "l/evil", Size: 1}))
	f.Add(makeTar(f, tar.Header{Typeflag: tar.TypeDir, Name: "../evil/"}, tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "../outside"}))
	f.Add(makeTar(f, tar.Header{Typeflag: tar.TypeFifo, Name: "f"}, tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 3}))
	for _, stream := range bombs() {
		f.Add(stream)
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		up := t.TempDir()
		dir := filepath.Join(up, "base")
		writeFiles(t, up, map[string]string{"outside": "keep me"})
		must(t, os.MkdirAll(dir, 0o700))
		_, err := restore(t, dir, stream)
		if err == nil && !hasEnd(stream) {
			t.Fatal("a stream without an end was restored")
		}
		wantFile(t, filepath.Join(up, "outside"), "keep me")
		entries, err := os.ReadDir(up)
		if err != nil || len(entries) != 2 {
			t.Fatalf("something appeared outside: %v, %v", entries, err)
		}
		unlock(dir)
	})
}

func hasEnd(stream []byte) bool { return bytes.Contains(stream, make([]byte, 1024)) }

func unlock(dir string) {
	_ = filepath.WalkDir(dir, func(name string, e os.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(name, 0o700)
		}
		return nil
	})
}

// header returns a header block whose checksum is right.
func header(kind byte, name, size string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], size)
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	return sum(b)
}

func sum(b []byte) []byte {
	copy(b[148:], "        ")
	n := 0
	for _, c := range b {
		n += int(c)
	}
	copy(b[148:], []byte{'0' + byte(n>>15&7), '0' + byte(n>>12&7), '0' + byte(n>>9&7), '0' + byte(n>>6&7), '0' + byte(n>>3&7), '0' + byte(n&7), 0, ' '})
	return b
}

// extended returns an extended header with the records, whose lengths it
// computes, followed by a file's header and data.
func extended(size, data string, records ...string) []byte {
	var body []byte
	for _, r := range records {
		n := len(r) + 2
		for len(r)+2+len(itoa(n)) != n {
			n = len(r) + 2 + len(itoa(n))
		}
		body = append(body, itoa(n)+" "+r+"\n"...)
	}
	out := header('x', "x", octal(len(body)))
	out = append(out, block(string(body))...)
	out = append(out, header('0', "file", size)...)
	out = append(out, block(data)...)
	return append(out, make([]byte, 1024)...)
}

func block(s string) []byte { return append([]byte(s), make([]byte, -len(s)&511)...) }

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func octal(n int) string {
	if n < 8 {
		return string(rune('0' + n))
	}
	return octal(n/8) + string(rune('0'+n%8))
}

// bombs are streams that announce far more than they hold, or nonsense.
func bombs() map[string][]byte {
	sparse := []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=file"}
	old := header('S', "file", "0")
	copy(old[386:], "00000000000\x0077777777777\x00")
	old[482] = 1
	return map[string][]byte{
		"map of a billion runs":     extended("1000", "1000000000\n0\n", append(sparse, "GNU.sparse.realsize=9")...),
		"map out of order":          extended("1000", "2\n5\n1\n0\n1\n", append(sparse, "GNU.sparse.realsize=9")...),
		"map beyond the end":        extended("1001", "1\n9\n1\n", append(sparse, "GNU.sparse.realsize=9")...),
		"map that overflows":        extended("1000", "2\n9223372036854775807\n9223372036854775807\n1\n1\n", append(sparse, "GNU.sparse.realsize=9223372036854775807")...),
		"map without end":           extended("1000", strings.Repeat("9", 512), append(sparse, "GNU.sparse.realsize=9")...),
		"map with a sign":           extended("1000", "-1\n", append(sparse, "GNU.sparse.realsize=9")...),
		"map and no data":           extended("0", "", append(sparse, "GNU.sparse.realsize=9")...),
		"negative real size":        extended("1000", "0\n", append(sparse, "GNU.sparse.realsize=-9")...),
		"map 0.1 odd":               extended("0", "", "GNU.sparse.map=1,2,3", "GNU.sparse.size=9"),
		"map 0.1 larger than data":  extended("0", "", "GNU.sparse.map=0,9", "GNU.sparse.size=9"),
		"old map larger than data":  append(sum(old), make([]byte, 4096)...),
		"huge extended header":      header('x', "x", "77777777777"),
		"huge long name":            header('L', "x", "77777777777"),
		"huge file":                 header('0', "file", "77777777777"),
		"size of all bits":          header('0', "file", "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"negative size":             extended("0", "", "size=-1"),
		"size that is none":         extended("0", "", "size=many"),
		"record with a wrong sum":   append(append(header('x', "x", "5"), block("99 a=")...), make([]byte, 1024)...),
		"record without a key":      append(append(header('x', "x", "5"), block("5 =a\n")...), make([]byte, 1024)...),
		"time that is none":         extended("0", "", "mtime=soon"),
		"checksum that is no octal": append(bytes.Replace(header('0', "f", "0"), []byte("0000644"), []byte("0000999"), 1), make([]byte, 1024)...),
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	for name, stream := range bombs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := restore(t, dir, stream)
			wantCode(t, err, shield.Corrupt)
			if left := tree(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestHugeHole has a hole of exbibytes, which costs nothing or is refused.
func TestHugeHole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stream := extended("1001", "1\n4611686018427387900\n1\n"+strings.Repeat("\x00", 489)+"x",
		"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=file", "GNU.sparse.realsize=4611686018427387901")
	if _, err := restore(t, dir, stream); err != nil {
		wantCode(t, err, shield.TargetFailed, "file")
		wantAbsent(t, filepath.Join(dir, "file"))
	}
}

// FuzzAgainstGo compares what we take a stream for with what archive/tar does.
func FuzzAgainstGo(f *testing.F) {
	f.Add("file", "target", int64(5), int64(1e9), uint8('0'))
	f.Add(strings.Repeat("long/", 60)+"name", "", int64(0), int64(-5), uint8('5'))
	f.Add("ünïcode", strings.Repeat("t", 300), int64(1), int64(1<<40), uint8('2'))
	f.Fuzz(func(t *testing.T, name, link string, size, sec int64, kind uint8) {
		if size < 0 || size > 1<<20 || !strings.ContainsRune("0125", rune(kind)) {
			t.Skip()
		}
		h := tar.Header{Typeflag: kind, Name: name, Linkname: link, Mode: 0o755, Uid: os.Getuid(), Gid: os.Getgid()}
		h.ModTime = time.Unix(sec, 0)
		if kind == '0' {
			h.Size = size
		}
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if w.WriteHeader(&h) != nil {
			t.Skip()
		}
		_, err := io.WriteString(w, strings.Repeat("x", int(h.Size)))
		must(t, err, w.Close())
		dir := t.TempDir()
		if _, err := restore(t, dir, b.Bytes()); err != nil && !errors.Is(err, shield.TargetFailed) {
			t.Fatalf("a stream of archive/tar is taken for a damaged one: %v", err)
		}
		unlock(dir)
	})
}
