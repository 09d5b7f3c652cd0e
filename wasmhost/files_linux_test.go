//go:build !portable

package wasmhost_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// What WASI has no calls for goes both ways through the file service.
func TestFiles(t *testing.T) {
	o := open(t, newHost(t, nil), "files", nil)
	dir := filepath.Join(t.TempDir(), "made")
	if _, err := backup(t, t.Context(), o, map[string]any{"do": "make", "dir": dir}); err != nil {
		t.Fatal(err)
	}
	attrs := unix.Lsetxattr(filepath.Join(dir, "file"), "user.note", []byte("x"), 0) == nil
	out, err := backup(t, t.Context(), o, map[string]any{"do": "list", "dir": dir})
	if err != nil {
		t.Fatal(err)
	}
	note := "[]"
	if attrs {
		note = "[{user.note x}]"
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(lines)
	for n, want := range []string{
		`away 120777 13 "/etc/hostname" 5.000000007 1 []`, "brother 104711 7 \"\" 1000000000.123456789 2 " + note,
		"fifo 10600 0 \"\" ", "file 104711 7 \"\" 1000000000.123456789 2 " + note, "sub 41777 ",
	} {
		if n >= len(lines) || !strings.HasPrefix(lines[n], want) {
			t.Errorf("line %d of %q, want %q", n, lines, want)
		}
	}
}

func TestFilesCopyAndHoles(t *testing.T) {
	o := open(t, newHost(t, nil), "files", nil)
	dir := t.TempDir()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	writeFile(t, filepath.Join(dir, "file"), content)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "copy", "dir": dir, "use": "file"})
	if err != nil || out != string(content) {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	f, err := os.Create(filepath.Join(dir, "holes"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, err = backup(t, t.Context(), o, map[string]any{"do": "extents", "dir": dir, "use": "holes"})
	if err != nil || !strings.HasPrefix(out, fmt.Sprintf("[{%d ", 1<<20)) {
		t.Errorf("%q, %v", out, err)
	}
}

func TestFilesConfined(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(outside, "secret"), []byte("secret"))
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "file")); err != nil {
		t.Fatal(err)
	}
	o := open(t, newHost(t, nil), "files", nil)
	for _, tt := range []struct{ do, use string }{
		{"walk", "link"}, {"walk", ".."}, {"walk", "../x"}, {"walk", "/etc"}, {"walk", "a//b"}, {"walk", "."}, {"walk", ""},
		{"open", "file"}, {"open", "link/secret"}, {"open", "../secret"}, {"open", ".."}, {"open", ""}, {"chmod", "file"},
	} {
		if _, err := backup(t, t.Context(), o, map[string]any{"do": tt.do, "dir": dir, "use": tt.use}); err == nil {
			t.Errorf("%s %q succeeded", tt.do, tt.use)
		}
	}
}

// The grant bounds what can be done: nothing, reading, writing, owning.
func TestFilesGrant(t *testing.T) {
	h := newHost(t, nil)
	for _, tt := range []struct {
		grant plugin.Grant
		do    string
		code  shield.Code
	}{
		{plugin.Grant{}, "list", shield.Forbidden},
		{plugin.Grant{Read: []string{"{dir}"}}, "list", ""},
		{plugin.Grant{Read: []string{"{dir}"}}, "mkdir", shield.TargetFailed},
		{plugin.Grant{Write: []string{"{dir}"}}, "mkdir", ""},
		{plugin.Grant{Write: []string{"{dir}"}}, "chmod", shield.Forbidden},
		{plugin.Grant{Own: []string{"{dir}"}}, "chmod", ""},
		{plugin.Grant{Write: []string{"/"}}, "mkdir", ""},
		{plugin.Grant{Write: []string{"/nowhere"}}, "mkdir", shield.Forbidden},
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "file"), nil)
		o := open(t, h, "files", &tt.grant)
		_, err := backup(t, t.Context(), o, map[string]any{"do": tt.do, "dir": dir, "use": "file"})
		if shield.CodeOf(err) != tt.code {
			t.Errorf("%+v: %s: %v, want %q", tt.grant, tt.do, err, tt.code)
		}
	}
}
