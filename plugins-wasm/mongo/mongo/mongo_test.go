//go:build linux

package mongo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

func endpointOf(t testing.TB, m *testserver.Mongo, more map[string]any) shield.Endpoint {
	t.Helper()
	all := map[string]any{"mongo_host": "127.0.0.1", "mongo_port": m.Port, "mongo_user": m.User, "mongo_password": m.Password, "mongo_bindir": m.Tools}
	maps.Copy(all, more)
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func opened(t testing.TB, e shield.Endpoint) *target {
	t.Helper()
	x, err := open(e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return x.(*target)
}

func connected(t testing.TB, m *testserver.Mongo) *conn {
	t.Helper()
	c, err := opened(t, endpointOf(t, m, nil)).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (c *conn) must(t testing.TB, db string, command ...field) map[string]any {
	t.Helper()
	answer, err := c.run(context.Background(), db, command...)
	if err != nil {
		t.Fatal(err)
	}
	if list, ok := answer["writeErrors"].([]any); ok {
		t.Fatal(list)
	}
	return answer
}

func (c *conn) insert(t testing.TB, db, name string, docs ...any) {
	t.Helper()
	c.must(t, db, field{"insert", name}, field{"documents", docs})
}

func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// odd is one document of every type that the server has.
func odd(id int32) []field {
	return []field{
		{"_id", id},
		{"oid", raw{0x07, []byte("123456789\x00\xffZ")}},
		{"double", raw{0x01, le64(math.Float64bits(-0.1))}},
		{"tiny", raw{0x01, le64(1)}},
		{"text", "Zoë 🚀 \"quoted\" \\ \n"}, {"empty", ""},
		{"doc", []field{{"b", int32(1)}, {"a", int64(math.MaxInt64)}, {"deep", []any{[]field{}, "x"}}}},
		{"binary", raw{0x05, []byte{3, 0, 0, 0, 0, 0, 1, 255}}},
		{"uuid", raw{0x05, append([]byte{16, 0, 0, 0, 4}, "0123456789abcdef"...)}},
		{"yes", true}, {"no", false}, {"null", raw{0x0a, nil}},
		{"date", raw{0x09, le64(uint64(1234567890123))}}, {"long ago", raw{0x09, le64(1<<64 - 62135596800000)}},
		{"regex", raw{0x0b, []byte("^a.*ü$\x00im\x00")}},
		{"timestamp", raw{0x11, le64(1<<40 + 7)}},
		{"int", int32(math.MinInt32)}, {"long", int64(math.MinInt64)},
	}
}

// fill makes two databases with indexes and odd types.
func fill(t testing.TB, c *conn) {
	t.Helper()
	c.insert(t, "shop", "odd", odd(1), odd(2))
	var many []any
	for n := range int32(2000) {
		many = append(many, []field{{"_id", n}, {"name", fmt.Sprint("name ", n)}, {"v", []any{n, "x"}}, {"pad", strings.Repeat("ü", 50)}})
	}
	c.insert(t, "shop", "items", many...)
	c.must(t, "shop", field{"createIndexes", "items"}, field{"indexes", []any{
		[]field{{"key", []field{{"name", int32(1)}}}, {"name", "by_name"}, {"unique", true}},
		[]field{{"key", []field{{"v", int32(1)}, {"pad", int32(-1)}}}, {"name", "v_pad"}},
	}})
	c.must(t, "shop", field{"create", "empty"})
	c.insert(t, "blog-2", "posts.archived", []field{{"_id", "a"}, {"text", "error: failed"}})
}

// content returns what an archive has: of each collection the documents, byte
// by byte, and the metadata.
func content(t testing.TB, archived []byte) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	if _, err := readArchive(bytes.NewReader(archived)); err != nil {
		t.Fatal(err)
	}
	a := &archive{r: bufio.NewReader(bytes.NewReader(archived)), byName: map[string]*namespace{}}
	if err := a.prelude(); err != nil {
		t.Fatal(err)
	}
	for _, n := range a.spaces {
		if !isOfServer(n.db) {
			got[n.db+"."+n.collection] = []string{fmt.Sprint(n.kind, n.indexes)}
		}
	}
	for {
		head, err := a.next()
		if err != nil {
			break // the end: it was read as a whole before
		}
		n, _, _, err := a.blockAgain(head)
		if err != nil {
			t.Fatal(err)
		}
		for d, _ := a.next(); d != nil; d, _ = a.next() {
			if !isOfServer(n.db) {
				got[n.db+"."+n.collection] = append(got[n.db+"."+n.collection], string(d))
			}
		}
	}
	for _, docs := range got {
		sort.Strings(docs[1:])
	}
	return got
}

// blockAgain is blockHead without regard to ends.
func (a *archive) blockAgain(head document) (*namespace, bool, uint64, error) {
	for _, n := range a.spaces {
		n.ended = false
	}
	return a.blockHead(head)
}

func backedUp(t testing.TB, e shield.Endpoint) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := opened(t, e).Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func restored(t testing.TB, e shield.Endpoint, archive []byte) {
	t.Helper()
	if err := opened(t, e).Restore(t.Context(), bytes.NewReader(archive)); err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || err == nil || !regexp.MustCompile(text).MatchString(err.Error()) {
		t.Errorf("got %s: %v; want %s: %s", shield.CodeOf(err), err, code, text)
	}
}

// TestRound backs up one database and all, and restores them into a server
// that has lost them and into one that never had them.
func TestRound(t *testing.T) {
	m, other := testserver.StartMongo(t), testserver.StartMongo(t)
	c := connected(t, m)
	fill(t, c)
	for _, db := range []string{"shop", ""} {
		t.Run(fmt.Sprintf("%q", db), func(t *testing.T) {
			more := map[string]any{"mongo_database": db}
			archive := backedUp(t, endpointOf(t, m, more))
			if bytes.Contains(archive, []byte(m.Password)) {
				t.Error("the archive has the password")
			}
			want := content(t, archive)
			if n := len(want); n != map[string]int{"shop": 3, "": 4}[db] {
				t.Fatalf("%d collections: %v", n, slices.Collect(maps.Keys(want)))
			}
			c.must(t, "shop", field{"dropDatabase", int32(1)})
			c.insert(t, "shop", "items", []field{{"_id", int32(1)}, {"name", "another"}}) // the same name is there
			for _, to := range []*testserver.Mongo{m, other} {
				restored(t, endpointOf(t, to, more), archive)
				if got := content(t, backedUp(t, endpointOf(t, to, more))); !reflect.DeepEqual(got, want) {
					for name := range want {
						t.Logf("%s: %d, want %d", name, len(got[name]), len(want[name]))
					}
					t.Errorf("restored %d collections differ", len(got))
				}
			}
		})
	}
}

// TestProbe compares what the server, the archive and a restored server say.
func TestProbe(t *testing.T) {
	m, other := testserver.StartMongo(t), testserver.StartMongo(t)
	fill(t, connected(t, m))
	probe := func(to *testserver.Mongo) map[string]int64 {
		t.Helper()
		p, err := opened(t, endpointOf(t, to, nil)).Probe(t.Context())
		if err != nil || p.Versions["server"] == "" || p.Versions["tool"] != "mongodump 100.10.0" {
			t.Fatalf("%+v, %v", p, err)
		}
		return p.Counts
	}
	want := probe(m)
	if want["documents"] != 2003 || want["databases"] != 2 || want["collections"] != 4 {
		t.Errorf("counts %v", want)
	}
	archive := backedUp(t, endpointOf(t, m, nil))
	p, err := opened(t, endpointOf(t, m, nil)).Inspect(t.Context(), bytes.NewReader(archive))
	if err != nil || !maps.Equal(p.Counts, want) || p.Versions["tool"] != "mongodump 100.10.0" {
		t.Errorf("the archive says %+v, %v; the server %v", p, err, want)
	}
	restored(t, endpointOf(t, other, nil), archive)
	if got := probe(other); !maps.Equal(got, want) {
		t.Errorf("restored %v, want %v", got, want)
	}
}
