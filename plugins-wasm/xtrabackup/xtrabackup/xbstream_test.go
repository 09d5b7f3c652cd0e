package xtrabackup

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os/exec"
	"strings"
	"testing"
)

func payload(name string, offset int, content string) string {
	b := appendHead(nil, 'P', name)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(content)))
	b = binary.LittleEndian.AppendUint64(b, uint64(offset))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(content)))
	return string(b) + content
}

func end(name string) string { return string(appendHead(nil, 'E', name)) }

func gap(name string, offset int) string {
	return string(binary.LittleEndian.AppendUint64(appendHead(nil, 'S', name), uint64(offset)))
}

func sparse(name string, offset int, content string, entries ...uint32) string {
	b := binary.LittleEndian.AppendUint32(appendHead(nil, 'S', name), uint32(len(entries)/2))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(content)))
	b = binary.LittleEndian.AppendUint64(b, uint64(offset))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint32(b, e)
	}
	return string(b) + content
}

func rename(from, to string) string {
	return string(binary.LittleEndian.AppendUint32(appendHead(nil, 'R', from), uint32(len(to)))) + to
}

func remove(name string) string { return string(appendHead(nil, 'D', name)) }

func TestReadStream(t *testing.T) {
	whole := payload("a/f", 0, "hello") + payload("g", 0, "") + payload("a/f", 5, " world") + end("a/f") + end("g")
	for _, c := range []struct {
		name, stream, fault string
		tool                bool // mbstream says the same
	}{
		{"whole", whole, "", true},
		{"a gap", payload("f", 0, "a") + gap("f", 100) + payload("f", 100, "b") + end("f"), "", true},
		{"renamed and removed", whole + rename("g", "h") + remove("a/f"), "", true},
		{"sparse", payload("f", 0, "a") + sparse("f", 1, "bb", 10, 1, 20, 1) + payload("f", 33, "c") + end("f"), "", false},
		{"may be passed over", strings.Replace(payload("x", 0, "k"), "\x00P", "\x01X", 1) + whole, "", false},
		{"empty", "", "no files", false},
		{"without an end", strings.TrimSuffix(whole, end("g")), "ends within the file g", false},
		{"cut in a payload", whole[:30], "ends within a chunk", true},
		{"cut in a head", whole + whole[:9], "ends within a chunk", true},
		{"no magic", whole + strings.Repeat("x", 20), "no chunk of an xbstream begins at byte", true},
		{"a flipped bit", strings.Replace(whole, "hello", "hellO", 1), "checksum", true},
		{"a hole", payload("f", 0, "a") + payload("f", 2, "b") + end("f"), "goes on at 2 instead of 1", true},
		{"back", payload("f", 0, "abc") + gap("f", 1) + payload("f", 1, "b") + end("f"), "goes back", false},
		{"more after the end", whole + payload("g", 0, "b"), "after its end", false},
		{"an unknown type", strings.Replace(whole, "\x00E", "\x00Z", 1), "unknown type", true},
		{"out of the folder", payload("../f", 0, "a") + end("../f"), "leads out", false},
		{"an absolute path", payload("/f", 0, "a") + end("/f"), "not one inside", false},
		{"no path", payload("", 0, "a"), "a path of 0 bytes", false},
		{"renamed too early", payload("f", 0, "a") + rename("f", "g"), "before its end", false},
		{"a huge payload", string(appendHead(nil, 'P', "f")) + strings.Repeat("\xff", 8) + strings.Repeat("\x00", 12), "bytes before byte", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readStream(strings.NewReader(c.stream), nil)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
			if path, none := exec.LookPath("mbstream"); none == nil && c.tool {
				cmd := exec.Command(path, "-x", "-C", t.TempDir())
				cmd.Stdin = strings.NewReader(c.stream)
				if out, err := cmd.CombinedOutput(); (err == nil) != (c.fault == "") {
					t.Errorf("mbstream: %v: %s", err, out)
				}
			}
		})
	}
}

func TestEndsWell(t *testing.T) {
	whole := payload("f", 0, "a") + end("f")
	if !endsWell([]byte(whole)) || !endsWell([]byte(whole[3:])) {
		t.Error("a whole stream does not end well")
	}
	for n := range whole[1:] {
		if endsWell([]byte(whole[:n+1])) && n+1 < len(whole) {
			t.Errorf("the first %d bytes end well", n+1)
		}
	}
}

func TestNote(t *testing.T) {
	want := note{Plugin: "1.0.0", Server: "10.11.19-MariaDB", Tool: "t", Databases: []string{"ü"}}
	b, err := want.chunks()
	if err != nil {
		t.Fatal(err)
	}
	s, err := readStream(bytes.NewReader(b), nil)
	if err != nil || len(s.done) != 1 {
		t.Errorf("%v, %v", s.done, err)
	}
	r := strings.NewReader(string(b) + "rest")
	got, _, err := readNote(r)
	if err != nil || got.Server != want.Server || got.Databases[0] != "ü" || r.Len() != 4 {
		t.Errorf("%+v, %v, %d left", got, err, r.Len())
	}
	other := payload("some/file.ibd", 0, strings.Repeat("x", 100))
	r = strings.NewReader(other)
	got, begun, err := readNote(r)
	if err != nil || got != nil || string(begun) != other[:len(begun)] || r.Len() != len(other)-len(begun) {
		t.Errorf("%+v, %q, %v", got, begun, err)
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add([]byte(payload("a", 0, "b") + gap("a", 9) + end("a") + rename("a", "c") + remove("c")))
	f.Add([]byte(sparse("a", 0, "b", 1, 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readStream(bytes.NewReader(b), isInfo)
		if err == nil && s.pos != int64(len(b)) {
			t.Errorf("%d bytes of %d were read", s.pos, len(b))
		}
		_, _, _ = readNote(bytes.NewReader(b)) // must not panic
		endsWell(b)
	})
}
