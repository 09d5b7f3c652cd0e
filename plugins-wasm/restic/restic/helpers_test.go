//go:build linux

package restic_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/restic/restic"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "restic-cache-")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("XDG_CACHE_HOME", dir) // of restic, and not of the go command
	if os.Getenv("GOCACHE") == "" {
		if home, err := os.UserHomeDir(); err == nil {
			_ = os.Setenv("GOCACHE", filepath.Join(home, ".cache", "go-build"))
		}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shieldtest.Main(m)
}

const (
	key      = "2026/01/31/blob"
	password = "the password of the repository"
)

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

type fields map[string]any

// endpoint returns an endpoint of fields; later ones win.
func endpoint(t testing.TB, all ...fields) shield.Endpoint {
	t.Helper()
	e := fields{}
	for _, f := range all {
		maps.Copy(e, f)
	}
	b, err := json.Marshal(e)
	must(t, err)
	return b
}

// repository returns the fields of a repository of its own, made already.
func repository(t testing.TB) fields {
	t.Helper()
	testserver.Tool(t, "restic")
	f := fields{"repository": filepath.Join(t.TempDir(), "repository"), "password": password}
	tool(t, f, "init", "--quiet")
	cheapen(t, f["repository"].(string))
	return f
}

// tool runs restic by hand and returns what it printed.
func tool(t testing.TB, f fields, args ...string) string {
	t.Helper()
	cmd := exec.Command("restic", args...)
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+f["repository"].(string), "RESTIC_PASSWORD="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("restic %q: %v: %s", args, err, out)
	}
	return string(out)
}

// snapshots returns how many there are, of whatever kind.
func snapshots(t testing.TB, f fields) int {
	t.Helper()
	var all []any
	must(t, json.Unmarshal([]byte(tool(t, f, "snapshots", "--json", "--no-lock")), &all))
	return len(all)
}

func open(t testing.TB, all ...fields) plugin.Store {
	t.Helper()
	testserver.Tool(t, "restic")
	s, err := restic.Plugin().OpenStore(t.Context(), endpoint(t, all...), func(line string) { t.Log(line) })
	must(t, err)
	return s
}

// fake returns the fields for a program that is a script instead of restic; the
// real one is $RESTIC to it.
func fake(t testing.TB, script string) fields {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restic")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\nRESTIC="+testserver.Tool(t, "restic")+"\n"+script), 0o755))
	return fields{"restic": path}
}

func put(t testing.TB, s plugin.Store, key string, r io.Reader, size int64) {
	t.Helper()
	stored, err := s.Put(t.Context(), key, r)
	if err != nil || stored.Key != key || stored.Size != size {
		t.Fatalf("put: %+v, %v", stored, err)
	}
}

func get(t testing.TB, s plugin.Store, key string) (string, error) {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

// size is what all files below a folder have together.
func size(t testing.TB, dir string) (n int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fi, err := d.Info()
			must(t, err)
			n += fi.Size()
		}
		return err
	}))
	return n
}

func wantError(t testing.TB, err error, code shield.Code, texts ...string) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("error %v (%q), want %q", err, shield.CodeOf(err), code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %v does not say %q", err, text)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
