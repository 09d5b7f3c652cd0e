package mongo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"strings"
	"testing"
)

// term is a terminator.
const term = "\xff\xff\xff\xff"

func doc(fields ...field) string { return string(encode(fields)) }

func preludeOf(collections ...string) string {
	s := string(binary.LittleEndian.AppendUint32(nil, magic)) +
		doc(field{"concurrent_collections", int32(4)}, field{"version", "0.1"}, field{"server_version", "7.0.1"}, field{"tool_version", "100.10.0"})
	for _, c := range collections {
		s += doc(field{"db", "d"}, field{"collection", c}, field{"metadata", `{"indexes":[{"v":2}]}`}, field{"size", int32(0)}, field{"type", ""})
	}
	return s + term
}

func blockOf(name string, docs ...string) string {
	return doc(field{"db", "d"}, field{"collection", name}, field{"EOF", false}, field{"CRC", int64(0)}) + strings.Join(docs, "") + term
}

func endOf(name string, docs ...string) string {
	sum := crc64.Checksum([]byte(strings.Join(docs, "")), crcTable)
	return doc(field{"db", "d"}, field{"collection", name}, field{"EOF", true}, field{"CRC", int64(sum)}) + term
}

func TestReadArchive(t *testing.T) {
	one, two := doc(field{"_id", int32(1)}), doc(field{"_id", int32(2)})
	whole := preludeOf("a", "b") + blockOf("a", one) + blockOf("b", two) + blockOf("a", two) + endOf("b", two) + endOf("a", one, two)
	for _, c := range []struct{ name, archive, fault string }{
		{"whole", whole, ""},
		{"no collections", preludeOf(), ""},
		{"empty collections", preludeOf("a") + endOf("a"), ""},
		{"nothing", "", "ends too early"},
		{"no magic", "xxxx" + whole[4:], "not an archive of mongodump"},
		{"cut after a collection", strings.TrimSuffix(whole, endOf("a", one, two)), "ends before the collection d.a"},
		{"cut in a document", whole[:len(whole)-6], "ends too early"},
		{"a flipped bit", strings.Replace(whole, two, doc(field{"_id", int32(3)}), 1), "checksum of the collection d.b"},
		{"a document is lost", preludeOf("a") + blockOf("a", one) + endOf("a", one, two), "checksum"},
		{"not announced", preludeOf("a") + endOf("a") + endOf("c"), "d.c was not announced"},
		{"more after the end", preludeOf("a") + endOf("a") + blockOf("a", one), "after its end"},
		{"twice", preludeOf("a", "a"), "twice"},
		{"a short document", preludeOf("a") + "\x04\x00\x00\x00", "a document of 4 bytes"},
		{"a huge document", preludeOf("a") + "\x00\x00\x00\x7f", "a document of"},
		{"no collection", preludeOf("a") + term, "a block without a collection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := readArchive(strings.NewReader(c.archive))
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
			if c.name == "whole" {
				if got := fmt.Sprint(a.counts()); got != "map[collections:2 databases:1 documents:3 indexes:2 views:0]" || a.server != "7.0.1" || a.tool != "100.10.0" {
					t.Error(got, a.server, a.tool)
				}
			}
		})
	}
	if !endsWell([]byte(whole)) || !endsWell([]byte(whole[40:])) {
		t.Error("a whole archive does not end well")
	}
	for _, cut := range []string{whole[:len(whole)-1], whole[:len(whole)-4], preludeOf("a") + blockOf("a", one), ""} {
		if endsWell([]byte(cut)) {
			t.Errorf("%q ends well", cut)
		}
	}
}

func TestDialect(t *testing.T) {
	for line, want := range map[string]bool{
		"2026-01-01T00:00:00.000+0000\tdone dumping shop.error_log (3 documents)":                                              false,
		"2026-01-01T00:00:00.000+0000\twriting shop.failed: to archive on stdout":                                              false,
		"2026-01-01T00:00:00.000+0000\t[####....]  shop.errors  1/2  (50.0%)":                                                  false,
		"2026-01-01T00:00:00.000+0000\tfinished restoring shop.error (3 documents, 0 failures)":                                false,
		"2026-01-01T00:00:00.000+0000\t3 document(s) restored successfully. 0 document(s) failed to restore.":                  false,
		"2026-01-01T00:00:00.000+0000\t3 document(s) restored successfully. 10 document(s) failed to restore.":                 true,
		"2026-01-01T00:00:00.000+0000\tFailed: can't create session: could not connect to server: server selection error: ...": true,
		"2026-01-01T00:00:00.000+0000\terror connecting to host: x":                                                            true,
	} {
		if got := dialect().Complaint(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// TestScram is the exchange that RFC 7677 has as an example.
func TestScram(t *testing.T) {
	s := newScram(scramSHA256, "user", "pencil")
	s.nonce = "rOprNGfwEbeRWgbNEkqO"
	s.first = "n=user,r=" + s.nonce
	got, err := s.answer([]byte("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
	const want = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if err := s.verify([]byte("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); err != nil {
		t.Error(err)
	}
	if err := s.verify([]byte("v=AAAA")); err == nil {
		t.Error("a wrong signature is taken")
	}
	for _, bad := range []string{"", "r=other,s=W22Z,i=4096", "r=" + s.nonce + ",s=?,i=1", "r=" + s.nonce + ",s=W22Z,i=2000000000"} {
		if _, err := s.answer([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzReadArchive(f *testing.F) {
	one := doc(field{"_id", raw{0x0b, []byte("a\x00i\x00")}}, field{"x", []any{true, "x", []byte{1}}})
	f.Add([]byte(preludeOf("a") + blockOf("a", one) + endOf("a", one)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readArchive(bytes.NewReader(b))
		if err == nil && a.pos != int64(len(b)) {
			t.Errorf("%d bytes of %d were read", a.pos, len(b))
		}
		_, _, _ = readHead(bytes.NewReader(b)) // must not panic
		endsWell(b)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(encode([]field{{"a", []field{{"b", []any{int32(1)}}}}, {"c", raw{0x0c, []byte("\x02\x00\x00\x00x\x00123456789012")}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = document(b).decode() // must not panic
	})
}
