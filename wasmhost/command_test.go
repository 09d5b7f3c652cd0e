package wasmhost_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

// script writes an executable shell script and returns its folder.
func script(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestExecExamined checks what a plugin can give to a program and learn of it
// beside its output: files, complaints, the end of the output.
func TestExecExamined(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	dir := script(t, "cat secret.txt; stat -c ' %a' . secret.txt | tr '\\n' ' '; pwd >&2; echo complaint >&2; printf 12345678; exit 3", 0o755)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "examine", "use": "tool", "folder": dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"of the guest 700  600 12345678\n", `tail "12345678"`, `complaint\n"`, "exit status 3",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	_, after, _ := strings.Cut(out, `stderr "`)
	work, _, _ := strings.Cut(after, `\n`)
	if _, err := os.Stat(work); !os.IsNotExist(err) || !filepath.IsAbs(work) {
		t.Errorf("the program's folder %q is still there: %v", work, err)
	}
}

// TestExecComplaints checks that many complaints neither block the program
// nor get lost.
func TestExecComplaints(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	dir := script(t, "i=0; while test $i -lt 20000; do echo 'a line of thirty-two characters' >&2; i=$((i+1)); done", 0o755)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "examine", "use": "tool", "folder": dir})
	if n := strings.Count(out, "thirty-two"); err != nil || n != 20000 {
		t.Errorf("%d of 20000 lines, %v", n, err)
	}
}

// TestExecFolder checks that an endpoint names programs only where the plugin
// asks for that, and none that everybody could have put there.
func TestExecFolder(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	_, err := backup(t, t.Context(), o, map[string]any{"do": "examine", "use": "sh", "folder": "/bin"})
	wantError(t, err, shield.Forbidden, "/bin/sh")
	for text, dir := range map[string]string{
		"no such file": t.TempDir(),
		"by everybody": script(t, "echo hello", 0o777),
	} {
		out, err := backup(t, t.Context(), o, map[string]any{"do": "examine", "use": "tool", "folder": dir})
		if err != nil || !strings.Contains(out, text) {
			t.Errorf("%s: %q, %v", text, out, err)
		}
	}
}

// TestExecStopsReading checks that a plugin learns how a program ended that
// has not read its input, whichever side notices first.
func TestExecStopsReading(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	for n := range 30 {
		dir := script(t, fmt.Sprintf("head -c %d >/dev/null; echo gone >&2; exit 7", n*20_000), 0o755)
		target, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "feed", "use": "sh", "args": dir + "/tool"}), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		err = target.Restore(t.Context(), bytes.NewReader(make([]byte, 4<<20)))
		wantError(t, err, shield.TargetFailed, "exit status 7")
	}
}
