package rdb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shieldhq/shield/plugins-wasm/redis/rdb"
)

// file is an RDB file made by hand of what the server of the tests cannot
// write: values of old and of new versions, modules. It has no checksum.
func file(version, content string) []byte {
	return []byte("REDIS" + version + content + "\xff" + strings.Repeat("\x00", 8))
}

func read(p []byte, o rdb.Options) (keys []string, err error) {
	d, err := rdb.NewDecoder(bytes.NewReader(p), o)
	if err != nil {
		return nil, err
	}
	for {
		it, err := d.Next()
		if err != nil || it.Kind == rdb.End {
			return keys, err
		}
		if it.Kind == rdb.Key {
			keys = append(keys, string(it.Key)+"="+string(it.Value))
		}
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct{ name, item, value string }{
		{"string", "\x00\x01k\x03abc", "\x03abc"},
		{"integer", "\x00\x01k\xc1\x39\x30", "\xc1\x39\x30"},
		{"length of 14 bits", "\x00\x01k\x40\x02ab", "\x40\x02ab"},
		{"length of 32 bits", "\x00\x01k\x80\x00\x00\x00\x02ab", "\x80\x00\x00\x00\x02ab"},
		{"length of 64 bits", "\x00\x01k\x81\x00\x00\x00\x00\x00\x00\x00\x02ab", "\x81\x00\x00\x00\x00\x00\x00\x00\x02ab"},
		{"list", "\x01\x01k\x02\x01a\x01b", "\x02\x01a\x01b"},
		{"set", "\x02\x01k\x01\x01a", "\x01\x01a"},
		{"scores as text", "\x03\x01k\x03\x01a\x031.5\x01b\xfd\x01c\xff", "\x03\x01a\x031.5\x01b\xfd\x01c\xff"},
		{"hash", "\x04\x01k\x01\x01f\x01v", "\x01\x01f\x01v"},
		{"scores", "\x05\x01k\x01\x01a12345678", "\x01\x01a12345678"},
		{"module", "\x07\x01k\x81abcdefgh\x02\x05\x04\x01234567\x05\x02xy\x00", "\x81abcdefgh\x02\x05\x04\x01234567\x05\x02xy\x00"},
		{"old encodings", "\x0a\x01k\x03zip", "\x03zip"},
		{"quicklist", "\x12\x01k\x01\x02\x02lp", "\x01\x02\x02lp"},
		{"stream without groups", "\x0f\x01k\x01\x01n\x01l\x01\x02\x03\x00", "\x01\x01n\x01l\x01\x02\x03\x00"},
		{"hash whose fields expire", "\x18\x01k12345678\x01\x05\x01f\x01v", "12345678\x01\x05\x01f\x01v"},
		{"packed hash whose fields expire", "\x19\x01k12345678\x02lp", "12345678\x02lp"},
		{"with time, idle time and database", "\xfe\x02\xfb\x01\x00\xfc12345678\xf8\x07\x00\x01k\x01a", "\x01a"},
		{"with use", "\xf9\x07\x00\x01k\x01a", "\x01a"},
		{"slots", "\xf4\x01\x02\x03\x00\x01k\x01a", "\x01a"},
		{"of a module beside the keys", "\xf7\x01\x02\x01\x02\x05\x00\x00\x01k\x01a", "\x01a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, keep := range []bool{true, false} {
				got, err := read(file("0011", c.item), rdb.Options{Keep: keep, Limit: 1 << 20})
				want := "k=" + c.value
				if !keep {
					want = "k="
				}
				if err != nil || len(got) != 1 || got[0] != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		})
	}
}

// TestPlain checks that a file is read alike where all of it is in the buffer,
// and where each byte has to be waited for.
func TestPlain(t *testing.T) {
	content := "\xfe\x02\xfc12345678\x00\x01k\x03abc\x00\x01l\xc1\x39\x30\x00\x01m\xc3\x05\x0a\x00a\xe0\x00\x00" +
		"\x0d\x40\x02no\x80\x00\x00\x00\x02zl\x00\x00\x00\x00\xc0\x05\x01a\xfe\x03\x01\x01p\x02\x01a\x01b\x00\x01q" +
		"\x42\x00" + strings.Repeat("x", 512) + "\x0a\x01r\xc3\x40\x05\x0a\x00a\xe0\x00\x00"
	want := []rdb.Item{
		{Key: []byte("k"), Size: 4}, {Key: []byte("l"), Size: 3}, {Key: []byte("m"), Size: 8}, {Key: []byte("no"), Size: 7},
		{Key: []byte(""), Size: 1}, {Key: []byte("5"), Size: 2}, {Key: []byte("p"), Size: 5}, {Key: []byte("q"), Size: 514}, {Key: []byte("r"), Size: 9},
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(file("0011", content)), "by bytes": iotest.OneByteReader(bytes.NewReader(file("0011", content))),
	} {
		d, err := rdb.NewDecoder(r, rdb.Options{Verify: true})
		if err != nil {
			t.Fatal(err)
		}
		for n, w := range want {
			it, err := d.Next()
			if err != nil || string(it.Key) != string(w.Key) || it.Size != w.Size || it.DB != int64(2+n/6) || (it.Expire != 0) != (n == 0) {
				t.Errorf("%s: %d is %q of %d bytes in %d, %v; want %q of %d", name, n, it.Key, it.Size, it.DB, err, w.Key, w.Size)
			}
		}
		if it, err := d.Next(); err != nil || it.Kind != rdb.End {
			t.Errorf("%s: got %v, %v, want the end", name, it.Kind, err)
		}
	}
	for cut := range len(content) {
		if _, err := read([]byte("REDIS0011"+content[:cut]), rdb.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", cut, err)
		}
	}
}

func TestText(t *testing.T) {
	// "ab" as 8 bits, 16, 32, and "aaaaaaaaaa" as LZF.
	d, err := rdb.NewDecoder(iotest.OneByteReader(bytes.NewReader(file("0009",
		"\xfa\x01a\xc0\xff\xfa\x01b\xc1\x00\x80\xfa\x01c\xc2\x01\x00\x00\x00\xfa\x01d\xc3\x05\x0a\x00a\xe0\x00\x00"))), rdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-1", "-32768", "1", "aaaaaaaaaa"} {
		it, err := d.Next()
		if err != nil || it.Kind != rdb.Aux || string(it.Value) != want {
			t.Errorf("got %q, %v, want %q", it.Value, err, want)
		}
	}
	if it, err := d.Next(); err != nil || it.Kind != rdb.End {
		t.Errorf("got %v, %v, want the end", it.Kind, err)
	}
}

func TestUnknown(t *testing.T) {
	p := file("0012", "\x63\x01kwhatever it is")
	d, err := rdb.NewDecoder(bytes.NewReader(p), rdb.Options{Verify: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Next(); !errors.Is(err, rdb.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	if err := d.Rest(); err != nil {
		t.Errorf("the rest: %v", err)
	}
	d, _ = rdb.NewDecoder(bytes.NewReader(p[:len(p)-9]), rdb.Options{})
	_, _ = d.Next()
	if err := d.Rest(); err == nil {
		t.Error("a file that is cut passes")
	}
}

func TestBad(t *testing.T) {
	for name, p := range map[string][]byte{
		"empty":                 nil,
		"no magic":              []byte("RODIS0009\xff"),
		"no version":            []byte("REDISabcd\xff"),
		"string beyond the end": file("0009", "\x00\x01k\x81\x7f\xff\xff\xff\xff\xff\xff\xff"),
		"key beyond any limit":  file("0009", "\x00\x81\x7f\xff\xff\xff\xff\xff\xff\xff"),
		"value above the limit": file("0009", "\x00\x01k\x41\x00"+strings.Repeat("x", 256)),
		"encoding for a length": file("0009", "\x01\x01k\xc0\x01"),
		"bad length":            file("0009", "\x00\x01k\x82\x01"),
		"LZF before the start":  file("0009", "\xfa\x01a\xc3\x03\x0a\x20\x05a"),
		"LZF of a wrong size":   file("0009", "\xfa\x01a\xc3\x02\x0a\x00a"),
		"more behind the end":   append(file("0009", ""), 'x'),
	} {
		if _, err := read(p, rdb.Options{Keep: true, Limit: 100}); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if _, err := read(file("0009", "\x00\x01k\x41\x00"+strings.Repeat("x", 256)), rdb.Options{Keep: true, Limit: 100}); !errors.Is(err, rdb.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	if _, err := rdb.NewDecoder(iotest.ErrReader(broken), rdb.Options{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// The checksum of "123456789" is in Redis' own crc64.c.
func TestFooter(t *testing.T) {
	f := rdb.Footer(&rdb.Item{Type: '1', Value: []byte("23456789")}, 0)
	if f[0] != 0 || f[1] != 0 {
		t.Errorf("version % x", f[:2])
	}
	p := []byte("REDIS0009\xff")
	sum := []byte{0, 0, 0, 0, 0, 0, 0, 0}
	// A file whose checksum is another is refused, and the error says which
	// would be right.
	sum[0] = 1
	_, err := read(append(p, sum...), rdb.Options{Verify: true})
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Fatalf("got %v", err)
	}
	right := err.Error()[strings.LastIndex(err.Error(), " ")+1:]
	var n uint64
	for _, c := range right {
		n = n<<4 | uint64(strings.IndexRune("0123456789abcdef", c))
	}
	binary.LittleEndian.PutUint64(sum, n)
	if _, err := read(append(p, sum...), rdb.Options{Verify: true}); err != nil {
		t.Errorf("got %v", err)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(file("0011", "\x12\x01k\x01\x02\x02lp\x0f\x01k\x01\x01n\x01l\x01\x02\x03\x00\x07\x01k\x81abcdefgh\x02\x05\x00"))
	f.Add(file("0009", "\xfa\x01d\xc3\x05\x0a\x00a\xe0\x00\x00\xfe\x02\xfb\x01\x00\xfc12345678\xf8\x07\x00\x01k\x01a"))
	f.Fuzz(func(t *testing.T, p []byte) {
		d, err := rdb.NewDecoder(bytes.NewReader(p), rdb.Options{Keep: true, Limit: 1 << 20, Verify: true})
		for err == nil {
			var it rdb.Item
			it, err = d.Next()
			if it.Kind == rdb.End {
				break
			}
		}
		if errors.Is(err, rdb.ErrUnknown) {
			err = d.Rest()
		}
		if errors.Is(err, io.EOF) {
			t.Error("a bare io.EOF")
		}
	})
}
