//go:build linux

package mongo

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
)

// tools returns a folder with the tools, in which the named one is a script:
// "real" runs the real one with its arguments.
func tools(t testing.TB, m *testserver.Mongo, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"mongodump", "mongorestore"} {
		path := filepath.Join(m.Tools, tool)
		if tool != name {
			if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text := "#!/bin/sh\nreal() { " + path + " \"$@\"; }\ncase $1 in --version) real --version; exit;; esac\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, tool), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// An act is a writer that does something once some bytes have come.
type act struct {
	after int
	do    func()
}

func (a *act) Write(p []byte) (int, error) {
	if a.after -= len(p); a.after < 0 && a.do != nil {
		do := a.do
		a.do = nil
		do()
	}
	return len(p), nil
}

func TestBackupFails(t *testing.T) {
	m := testserver.StartMongo(t)
	c := connected(t, m)
	c.insert(t, "shop", "items", []field{{"_id", int32(1)}}, []field{{"_id", int32(2)}})
	c.insert(t, "shop", "other", []field{{"_id", "error: failed"}})
	for n := range int32(12) {
		c.insert(t, "big", "a", []field{{"_id", n}, {"v", strings.Repeat("x", 1<<20)}})
	}
	c.insert(t, "big", "b", []field{{"_id", int32(1)}})
	seen := filepath.Join(t.TempDir(), "seen")
	for _, k := range []struct {
		name   string
		fields map[string]any
		script string
		code   shield.Code
		text   string
	}{
		{"the dump ends early", nil, `real "$@" >dump; head -c 400 dump`, shield.TargetFailed, "no whole archive"},
		{"a long dump ends early", map[string]any{"mongo_database": "big"}, `real "$@" >dump; head -c 4000000 dump`, shield.TargetFailed, "within a collection"},
		{"errors with status 0", nil, `real "$@"; printf '2026-01-01T00:00:00.000+0000\tFailed: error reading collection\n' >&2`, shield.TargetFailed, "exit status 0, but it complained.*reading collection"},
		{"a missing privilege on one collection", nil, `printf '2026-01-01T00:00:00.000+0000\tFailed: error dumping metadata: (Unauthorized) not authorized on shop to execute command\n' >&2; exit 1`, shield.Forbidden, "not authorized on shop"},
		{"status 1", nil, `real "$@"; exit 1`, shield.TargetFailed, "exit status 1"},
		{"nothing at all", nil, `exit 0`, shield.TargetFailed, "no whole archive"},
		{"an empty dump", nil, `a=$1; shift; real "$a" --archive --db=empty`, shield.TargetFailed, "lacks the collection shop.items"},
		{"a collection is missing", nil, `real "$@" --excludeCollection=other`, shield.TargetFailed, "lacks the collection shop.other"},
		{"wrong password", map[string]any{"mongo_password": "wrong"}, `real "$@"`, shield.Unauthorized, "login was refused|Authentication failed"},
		{"no password", map[string]any{"mongo_user": "", "mongo_password": ""}, `real "$@"`, shield.Forbidden, "authentication|not authorized"},
		{"no such database", map[string]any{"mongo_database": "nope"}, `real "$@"`, shield.NotFound, `"nope"`},
		{"no secret on the command line", nil, `echo "$@" > ` + seen + `; stat -c %a . mongo.yaml >> ` + seen + `; pwd >> ` + seen + `; real "$@"`, "", ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			fields := map[string]any{"mongo_bindir": tools(t, m, "mongodump", k.script), "mongo_database": "shop"}
			for name, value := range k.fields {
				fields[name] = value
			}
			err := opened(t, endpointOf(t, m, fields)).Backup(t.Context(), &bytes.Buffer{})
			if k.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, k.code, k.text)
		})
	}
	lines, err := os.ReadFile(seen)
	if got := strings.Split(string(lines), "\n"); err != nil || len(got) != 5 || strings.Contains(got[0], "mongo-pw") || got[1] != "700" || got[2] != "600" {
		t.Errorf("%q, %v", lines, err)
	}
	t.Run("no tool", func(t *testing.T) {
		wantError(t, opened(t, endpointOf(t, m, map[string]any{"mongo_bindir": t.TempDir()})).Test(t.Context()),
			shield.Invalid, "mongo_bindir.*there is no mongodump in it.*mongodb-database-tools")
	})
	t.Run("a collection is dropped", func(t *testing.T) {
		w := &act{1000, func() { c.must(t, "big", field{"drop", "b"}) }}
		wantError(t, opened(t, endpointOf(t, m, map[string]any{"mongo_database": "big"})).Backup(t.Context(), w), shield.TargetFailed, "big.b")
	})
	t.Run("the server dies", func(t *testing.T) {
		for n := range int32(24) {
			c.insert(t, "big", "c", []field{{"_id", n}, {"v", strings.Repeat("y", 1<<20)}})
		}
		e := endpointOf(t, m, map[string]any{"mongo_database": "big"})
		if err := opened(t, e).Backup(t.Context(), &act{1000, m.Kill}); shield.CodeOf(err) != shield.Unavailable {
			t.Errorf("%s: %v", shield.CodeOf(err), err)
		}
		wantError(t, opened(t, e).Test(t.Context()), shield.Unavailable, "refused")
	})
}

func TestRestoreFails(t *testing.T) {
	m := testserver.StartMongo(t)
	c := connected(t, m)
	c.insert(t, "shop", "items", []field{{"_id", int32(1)}}, []field{{"_id", int32(2)}})
	c.insert(t, "shop", "other", []field{{"_id", int32(1)}})
	archive := backedUp(t, endpointOf(t, m, nil))
	newer := strings.Replace(string(archive), "100.10.0", "200.10.0", 1)
	for _, k := range []struct {
		name    string
		fields  map[string]any
		script  string
		archive string
		code    shield.Code
		text    string
	}{
		{"empty", nil, "", "", shield.Corrupt, "less than 8 bytes"},
		{"something else", nil, "", strings.Repeat("hello ", 10), shield.Corrupt, "none of mongodump"},
		{"cut off", nil, "", string(archive[:len(archive)/2]), shield.TargetFailed, "mongorestore"},
		{"by a newer tool", nil, "", newer, shield.Invalid, `mongodump 200\.10\.0 and mongorestore is 100\.10\.0`},
		{"of a newer server", nil, "", serverOf(t, archive, "9.0.77"), shield.Invalid, `of MongoDB 9\.0\.77 and the server is 7`},
		{"documents that fail", nil, `cat >/dev/null; printf '2026-01-01T00:00:00.000+0000\t2 document(s) restored successfully. 1 document(s) failed to restore.\n' >&2`, string(archive), shield.TargetFailed, "1 document"},
		{"the disk is full", nil, `cat >/dev/null; printf '2026-01-01T00:00:00.000+0000\tFailed: shop.items: error restoring: (OutOfDiskSpace) No space left on device\n' >&2; exit 1`, string(archive), shield.TargetFailed, "No space left"},
		{"documents that exist", map[string]any{"mongo_keep": true}, "", string(archive), shield.Conflict, "E11000|duplicate"},
		{"wrong password", map[string]any{"mongo_password": "wrong"}, "", string(archive), shield.Unauthorized, "refused|failed"},
	} {
		t.Run(k.name, func(t *testing.T) {
			fields := map[string]any{}
			if k.script != "" {
				fields["mongo_bindir"] = tools(t, m, "mongorestore", k.script)
			}
			for name, value := range k.fields {
				fields[name] = value
			}
			wantError(t, opened(t, endpointOf(t, m, fields)).Restore(t.Context(), strings.NewReader(k.archive)), k.code, k.text)
		})
	}
	t.Run("the server dies", func(t *testing.T) {
		r := io.MultiReader(bytes.NewReader(archive[:len(archive)/2]), &once{do: m.Kill}, bytes.NewReader(archive[len(archive)/2:]))
		if err := opened(t, endpointOf(t, m, nil)).Restore(t.Context(), r); shield.CodeOf(err) != shield.Unavailable {
			t.Errorf("%s: %v", shield.CodeOf(err), err)
		}
	})
}

// A once is an empty reader that does something.
type once struct{ do func() }

func (o *once) Read([]byte) (int, error) {
	o.do()
	return 0, io.EOF
}

// serverOf returns an archive whose header has another version of the server.
func serverOf(t testing.TB, archived []byte, version string) string {
	t.Helper()
	a, head, err := readHead(bytes.NewReader(archived))
	if err != nil {
		t.Fatal(err)
	}
	header := encode([]field{{"concurrent_collections", int32(4)}, {"version", a.format}, {"server_version", version}, {"tool_version", a.tool}})
	return string(archived[:4]) + string(header) + string(archived[len(head):])
}

func TestValidate(t *testing.T) {
	for _, k := range []struct{ endpoint, field, text string }{
		{`{"mongo_host": "a,b"}`, "mongo_host", "one name or address"},
		{`{"mongo_password": "x"}`, "mongo_user", "is missing"},
		{`{"mongo_database": "a.b"}`, "mongo_database", "the name of one database"},
		{`{"mongo_tls_ca": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"}`, "mongo_tls", "is disabled although"},
		{`{"mongo_tls": "require", "mongo_tls_cert": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"}`, "mongo_tls_key", "belong together"},
		{`{"mongodump_options": "--arch=/tmp/x"}`, "mongodump_options", "--archive"},
		{`{"mongorestore_options": "--gzip"}`, "mongorestore_options", "--gzip"},
		{`{"mongo_options": "-p x"}`, "mongo_options", "-p"},
		{`{"mongo_port": 70000}`, "mongo_port", "1 to 65535"},
	} {
		_, err := open(shield.Endpoint(k.endpoint), nil)
		if err == nil || !strings.Contains(err.Error(), k.field) || !strings.Contains(err.Error(), k.text) || shield.CodeOf(err) != shield.Invalid {
			t.Errorf("%s: %v", k.endpoint, err)
		}
	}
}

// TestPrivileges: what connectionStatus tells.
func TestPrivileges(t *testing.T) {
	for _, k := range []struct {
		privileges, db string
		want           bool
	}{
		{`[{"resource": {"db": "shop", "collection": ""}, "actions": ["find"]}]`, "shop", true},
		{`[{"resource": {"db": "shop", "collection": ""}, "actions": ["insert"]}]`, "shop", false},
		{`[{"resource": {"db": "shop", "collection": "items"}, "actions": ["find"]}]`, "shop", false},
		{`[{"resource": {"db": "blog", "collection": ""}, "actions": ["find"]}]`, "shop", false},
		{`[{"resource": {"db": "", "collection": ""}, "actions": ["find"]}]`, "shop", true},
		{`[{"resource": {"db": "", "collection": ""}, "actions": ["find"]}]`, "", true},
		{`[{"resource": {"db": "shop", "collection": ""}, "actions": ["find"]}]`, "", false},
		{`[{"resource": {"anyResource": true}, "actions": ["anyAction"]}]`, "", true},
		{`[{"resource": {"cluster": true}, "actions": ["find"]}]`, "shop", false},
	} {
		var list []any
		if err := json.Unmarshal([]byte(k.privileges), &list); err != nil {
			t.Fatal(err)
		}
		if got := mayFind(list, k.db); got != k.want {
			t.Errorf("%s in %q: %v", k.privileges, k.db, got)
		}
	}
}
