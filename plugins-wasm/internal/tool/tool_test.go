//go:build unix

package tool_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

var dialect = &tool.Dialect{
	Complaint: func(line string) bool { return strings.Contains(line, "error:") },
	Rules:     []tool.Rule{{"password", shield.Unauthorized}},
}

// host returns a runner of a script named "dump".
func host(t *testing.T, script string) *tool.Host {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dump"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &tool.Host{Folder: dir, Field: "bindir", Dialect: dialect}
}

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name, script string
		code         shield.Code
		text         string
	}{
		{"well", "echo note >&2", "", ""},
		{"status", "echo one >&2; exit 7", shield.TargetFailed, "dump: exit status 7: one"},
		{"signal", "kill -9 $$", shield.TargetFailed, "dump: signal: killed"},
		{"classified", "echo 'dump: error: wrong password' >&2; echo more >&2; exit 1", shield.Unauthorized, "exit status 1: error: wrong password"},
		{"common", "echo 'Connection refused' >&2; exit 1", shield.Unavailable, "refused"},
		{"complaint and 0", "echo 'dump: error: half' >&2", shield.TargetFailed, "exit status 0, but it complained: error: half"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := host(t, c.script).Run(t.Context(), tool.Job{Name: "dump"})
			if shield.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %q %v, want %q %s", shield.CodeOf(err), err, c.code, c.text)
			}
		})
	}
}

func TestRunTolerates(t *testing.T) {
	_, err := host(t, "echo 'error: harmless' >&2").Run(t.Context(), tool.Job{
		Name: "dump", Tolerate: func(line string) bool { return strings.HasSuffix(line, "harmless") },
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRunMissing(t *testing.T) {
	h := &tool.Host{Field: "bindir", Dialect: dialect}
	_, err := h.Run(t.Context(), tool.Job{Name: "no-such-program"})
	if err == nil || !strings.Contains(err.Error(), "no-such-program is not there") || !strings.Contains(err.Error(), "bindir") {
		t.Error(err)
	}
	h.Folder = t.TempDir()
	_, err = h.Run(t.Context(), tool.Job{Name: "pg_dump"})
	var e *shield.Error
	if !errors.As(err, &e) || e.Field != "endpoint.bindir" || !strings.Contains(e.Message, "postgresql-client") {
		t.Error(err)
	}
}

func TestRunCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := host(t, "sleep 60").Run(ctx, tool.Job{Name: "dump"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestRunLines checks that of many lines the first and the last are kept and
// that none of them, nor the log, has a secret.
func TestRunLines(t *testing.T) {
	h := host(t, "i=0; while test $i -lt 1000; do echo line $i s3cret >&2; i=$((i+1)); done; printf 'no newline' >&2")
	var logged []string
	h.Log, h.Secrets = func(line string) { logged = append(logged, line) }, []string{"", "s3cret"}
	r, err := h.Run(t.Context(), tool.Job{Name: "dump"})
	if err != nil {
		t.Fatal(err)
	}
	if len(logged) != 1001 || len(r.Lines) != 201 || r.Lines[0] != "line 0 [secret]" || r.Lines[200] != "no newline" {
		t.Errorf("%d logged, kept %q", len(logged), r.Lines)
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]tool.Version{
		"pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": {Text: "15.18", Major: 15, Minor: 18},
		"PostgreSQL 17beta2": {Text: "17beta2", Major: 17},
		"mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)": {Text: "10.19", Major: 10, Minor: 19},
		"redis-cli 7.0.15": {Text: "7.0.15", Major: 7},
	} {
		if got, ok := tool.ParseVersion(text); !ok || got != want {
			t.Errorf("%s: got %+v", text, got)
		}
	}
	if v, ok := tool.ParseVersion("none"); ok {
		t.Errorf("got %+v", v)
	}
	v, err := tool.VersionOf(t.Context(), host(t, "echo dump 1.2"), "dump")
	if err != nil || v.Text != "1.2" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestOptions(t *testing.T) {
	got, err := tool.SplitOptions(`-a  "b c" 'd\e' f\ g "" --h="i j"`)
	if want := []string{"-a", "b c", `d\e`, "f g", "", "--h=i j"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{`"a`, `a\`, `'`} {
		if got, err := tool.SplitOptions(bad); err == nil {
			t.Errorf("%q: got %q", bad, got)
		}
	}
	for text, refused := range map[string]bool{
		"-O -x": false, "--format=p": true, "--fo p": true, "-vFp": true, "-F p": true, "-t f": false, "--no-owner": false, "-": false, "--": false,
	} {
		_, err := tool.CheckOptions("options", text, "-F", "--format")
		if (err != nil) != refused || err != nil && !strings.HasPrefix(err.Error(), "endpoint.options") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzSplitOptions(f *testing.F) {
	f.Add(`-a "b c" 'd' \e`)
	f.Fuzz(func(t *testing.T, text string) {
		options, err := tool.SplitOptions(text)
		if err != nil {
			return
		}
		var quoted []string
		for _, o := range options {
			quoted = append(quoted, `'`+strings.ReplaceAll(o, `'`, `'"'"'`)+`'`)
		}
		again, err := tool.SplitOptions(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, options) {
			t.Errorf("%q, quoted again: %q, %v", options, again, err)
		}
	})
}

func TestOptionFile(t *testing.T) {
	got, err := tool.OptionFile("client", [2]string{"password", "a\"b\\#c\n"})
	if want := "[client]\npassword=\"a\\\"b\\\\#c\\n\"\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}
