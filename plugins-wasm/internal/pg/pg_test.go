package pg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

func TestStatements(t *testing.T) {
	script := `-- a comment; with a semicolon
SET a = 'x;''y' ; /* ; /* nested; */ */
CREATE FUNCTION f() AS $f$ ; $$ ; $f$ LANGUAGE sql;
\connect app
SELECT E'\';', "a;""b", $1, x$y$z;
COMMENT ON DATABASE app IS 'two
\connect postgres
lines';
`
	all, whole := statements([]byte(script))
	want := []string{
		"SET a = 'x;''y' ;", "CREATE FUNCTION f() AS $f$ ; $$ ; $f$ LANGUAGE sql;", `\connect app`,
		`SELECT E'\';', "a;""b", $1, x$y$z;`, "COMMENT ON DATABASE app IS 'two\n\\connect postgres\nlines';",
	}
	if !whole || len(all) != len(want) {
		t.Fatalf("whole %v: %v", whole, all)
	}
	for n, st := range all {
		if st.text != want[n] {
			t.Errorf("got %q, want %q", st.text, want[n])
		}
	}
	for _, open := range []string{"SELECT 1", "SELECT 'a;", `SELECT "a;`, "SELECT $a$;", "/* ;", "SELECT 1 -- ;"} {
		if all, whole := statements([]byte(open)); whole || len(all) > 0 {
			t.Errorf("%q: got %v, whole %v", open, all, whole)
		}
	}
}

// FuzzStatements checks that what is found in a script is in it, in order.
func FuzzStatements(f *testing.F) {
	f.Add("SET a = 1; \\connect x\n$a$;$a$ 'b")
	f.Fuzz(func(t *testing.T, script string) {
		all, _ := statements([]byte(script))
		last := 0
		for _, st := range all {
			if st.end <= last || st.end > len(script) || !strings.HasSuffix(strings.TrimSuffix(script[:st.end], "\n"), st.text) {
				t.Fatalf("%q ends at %d after %d", st.text, st.end, last)
			}
			_, _, _ = nameAfter(st.text, "ALTER", "ROLE")
			_ = renamed(st.text, "a", "b")
			last = st.end
		}
	})
}

func TestRenamed(t *testing.T) {
	for text, want := range map[string]string{
		`CREATE DATABASE app WITH TEMPLATE = template0;`:       `CREATE DATABASE "new" WITH TEMPLATE = template0;`,
		`ALTER DATABASE "a""b" SET x = 'DATABASE app';`:        `ALTER DATABASE "a""b" SET x = 'DATABASE app';`,
		`COMMENT ON DATABASE app IS 'of DATABASE app';`:        `COMMENT ON DATABASE "new" IS 'of DATABASE app';`,
		`GRANT CONNECT ON DATABASE app TO "DATABASE";`:         `GRANT CONNECT ON DATABASE "new" TO "DATABASE";`,
		`ALTER ROLE app IN DATABASE app SET search_path TO x;`: `ALTER ROLE app IN DATABASE "new" SET search_path TO x;`,
	} {
		if got := renamed(text, "app", "new"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := renamed(`ALTER DATABASE "a""b" OWNER TO c;`, `a"b`, `n"ew`); got != `ALTER DATABASE "n""ew" OWNER TO c;` {
		t.Error(got)
	}
}

func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		`CREATE ROLE "a'b";`: `SELECT 'CREATE ROLE "a''b"' WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'a''b');` + "\n\\gexec",
		`CREATE TABLESPACE t OWNER o LOCATION '/x\y';`: `SELECT E'CREATE TABLESPACE t OWNER o LOCATION ''/x\\y''' WHERE NOT EXISTS ` +
			`(SELECT FROM pg_catalog.pg_tablespace WHERE spcname = 't');` + "\n\\gexec",
		`ALTER ROLE a WITH SUPERUSER;`: `ALTER ROLE a WITH SUPERUSER;`,
	} {
		if got := harmless(&statement{text: text}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// slowly gives a byte a time.
type slowly struct{ r io.Reader }

func (s slowly) Read(p []byte) (int, error) { return s.r.Read(p[:min(1, len(p))]) }

func TestPreamble(t *testing.T) {
	head := `--
-- PostgreSQL database dump
--
\restrict abc
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE DATABASE app WITH TEMPLATE = template0;
COMMENT ON DATABASE app IS 'two
CREATE TABLE x;';
\unrestrict abc
\connect app
ALTER ROLE r IN DATABASE app SET a TO 'b';
\connect app
SET client_encoding = 'UTF8';`
	rest := "\n\n--\n-- Name: s\n--\n\nCREATE SCHEMA s;\n" + strings.Repeat("x", 100_000)
	for name, in := range map[string]io.Reader{"at once": strings.NewReader(head + rest), "slowly": slowly{strings.NewReader(head + rest)}} {
		var out bytes.Buffer
		p := &preamble{w: &out}
		n, err := p.ReadFrom(in)
		if want := head + "\n\nBEGIN;\n" + rest; err != nil || !p.begun || out.String() != want || n != int64(len(head+rest)) {
			t.Errorf("%s: %d bytes, %v: got %.1000s", name, n, err, out.String())
		}
	}
	var out bytes.Buffer
	p := &preamble{w: &out}
	if _, err := p.ReadFrom(strings.NewReader(head + "\n--\n")); err != nil || p.begun || out.String() != head+"\n--\n" {
		t.Errorf("an empty one: %v: %s", err, out.String())
	}
}

// An archive writes what pg_dump -Fc does.
type archive struct{ bytes.Buffer }

func (a *archive) int(n int) {
	sign := byte(0)
	if n < 0 {
		sign, n = 1, -n
	}
	a.WriteByte(sign)
	a.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
}

func (a *archive) str(s string) {
	a.int(len(s))
	a.WriteString(s)
}

// newArchive returns an archive of one table with three rows, and one large
// object, of a minor version of the format.
func newArchive(minor byte) []byte {
	a := &archive{}
	a.WriteString(Magic)
	a.Write([]byte{1, minor, 0, 4, 8, 1})
	if minor >= 15 {
		a.WriteByte(0)
	} else {
		a.int(0)
	}
	for range 7 {
		a.int(1)
	}
	a.str("app")
	a.str("15.18")
	a.str("15.18")
	entries := []Entry{
		{ID: 1, Desc: "DATABASE", Tag: "app", Definition: "CREATE DATABASE app;\n", Owner: "boss"},
		{ID: 2, Desc: "TABLE", Tag: "t"},
		{ID: 3, Desc: "TABLE DATA", Tag: "t", Data: true},
		{ID: 4, Desc: "BLOBS", Tag: "BLOBS", Data: true},
	}
	a.int(len(entries))
	for _, e := range entries {
		a.int(int(e.ID))
		if e.Data {
			a.int(1)
		} else {
			a.int(0)
		}
		a.str("0")
		a.str("0")
		a.str(e.Tag)
		a.str(e.Desc)
		a.int(2)
		a.str(e.Definition)
		a.str("")
		a.int(-1) // no text
		a.str("public")
		a.str("")
		if minor >= 14 {
			a.str("heap")
		}
		if minor >= 16 {
			a.int('r')
		}
		a.str(e.Owner)
		a.str("false")
		a.str("1")
		a.int(-1)
		a.Write(make([]byte, 9))
	}
	a.WriteByte(blockData)
	a.int(3)
	for _, row := range []string{"1\ta\n", "2\tb\n", "3\tc\n", "\\.\n\n\n"} {
		a.str(row)
	}
	a.int(0)
	a.WriteByte(blockBlobs)
	a.int(4)
	a.int(777)
	a.str("large")
	a.int(0)
	a.int(0)
	return a.Bytes()
}

func TestInspectOne(t *testing.T) {
	for _, minor := range []byte{12, 13, 14, 15, 16} {
		whole := newArchive(minor)
		p, err := Inspect(bufio.NewReader(bytes.NewReader(whole)))
		if err != nil || p.Counts["rows"] != 3 || p.Counts["large_objects"] != 1 || p.Counts["tables"] != 1 || p.Versions["server"] != "PostgreSQL 15.18" {
			t.Errorf("1.%d: %+v, %v", minor, p, err)
		}
		for n := range whole {
			if _, err := Inspect(bufio.NewReader(bytes.NewReader(whole[:n]))); shield.CodeOf(err) != shield.Corrupt {
				t.Fatalf("1.%d, cut after %d of %d bytes: %v", minor, n, len(whole), err)
			}
		}
	}
	newer := newArchive(16)
	newer[6] = 99
	if _, err := Inspect(bufio.NewReader(bytes.NewReader(newer))); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("a newer format: %v", err)
	}
}

func newCluster() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "--\n%s--\n%s%s\n\nCREATE ROLE a;\n\n%s", clusterMark, aboutMark, `{"server":"15.18","pg_dump":"15.18","databases":["a","b"]}`, databasesMark)
	for range 2 {
		fmt.Fprintf(&b, "CREATE TABLE t (\n    n int\n);\n\nCOPY public.t (n) FROM stdin;\n1\n%s\n%s\n\\.\n\n--\n%s\n--\n\nCOMMIT;\n\n",
			clusterEnd, strings.Repeat("long", 50_000), databaseEnd)
	}
	fmt.Fprintf(&b, "SELECT '%s';\n\n--\n%s\n--\n\n", wholeMark, clusterEnd)
	return []byte(b.String())
}

func TestInspectAll(t *testing.T) {
	whole := newCluster()
	inspect := func(b []byte) (map[string]int64, error) {
		p, err := Inspect(bufio.NewReaderSize(bytes.NewReader(b), 4096))
		return p.Counts, err
	}
	if c, err := inspect(whole); err != nil || c["rows"] != 6 || c["tables"] != 2 || c["databases"] != 2 {
		t.Errorf("%v, %v", c, err)
	}
	end := bytes.LastIndex(whole, []byte(clusterEnd)) + len(clusterEnd)
	for n := 0; n < end; n += 1 + n/50 {
		if _, err := inspect(whole[:n]); shield.CodeOf(err) != shield.Corrupt {
			t.Fatalf("cut after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := inspect(append(whole[:len(whole):len(whole)], "CREATE TABLE more ();\n"...)); shield.CodeOf(err) != shield.Corrupt {
		t.Errorf("something after the end: %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(newArchive(14))
	f.Add(newCluster()[:500])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Inspect(bufio.NewReader(bytes.NewReader(b)))
		if code := shield.CodeOf(err); err != nil && code != shield.Corrupt && code != shield.Invalid {
			t.Errorf("%v", err)
		}
		_, err = InspectFiles(bytes.NewReader(b))
		if code := shield.CodeOf(err); err != nil && code != shield.Corrupt {
			t.Errorf("%v", err)
		}
	})
}

func TestQuoting(t *testing.T) {
	for in, want := range map[string]string{"a": "'a'", "a'b": "'a''b'", `a\b`: `E'a\\b'`} {
		if got := Literal(in); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := ConnectTo(`a'b\c=d`); got != `dbname='a\'b\\c=d'` {
		t.Error(got)
	}
	for _, name := range []string{"app", strings.Repeat("ä", 31)} {
		if n := len(tempName(name)); n > nameLimit || len(asideName(name)) > nameLimit {
			t.Errorf("%s has %d bytes", tempName(name), n)
		}
	}
}
