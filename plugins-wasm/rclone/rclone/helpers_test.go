//go:build linux

package rclone_test

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
	"github.com/shieldhq/shield/plugins-wasm/rclone/rclone"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

const key = "2026/01/31/blob"

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

// local is the remote of a folder of this host.
func local(dir string) fields { return fields{"remote": dir} }

// crypt is a remote that encrypts below a folder.
func crypt(t testing.TB, dir string) fields {
	t.Helper()
	testserver.Tool(t, "rclone")
	obscured, err := exec.Command("rclone", "obscure", "the secret of the crypt").Output()
	must(t, err)
	return fields{
		"remote": "hidden:archives",
		"config": "[hidden]\ntype = crypt\nremote = " + dir + "\npassword = " + string(obscured),
	}
}

func open(t testing.TB, e shield.Endpoint) plugin.Store {
	t.Helper()
	testserver.Tool(t, "rclone")
	s, err := rclone.Plugin().OpenStore(t.Context(), e, func(line string) { t.Log(line) })
	must(t, err)
	return s
}

// fake returns the fields for a program that is a script instead of rclone;
// the real one is $RCLONE to it.
func fake(t testing.TB, script string) fields {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rclone")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\nRCLONE="+testserver.Tool(t, "rclone")+"\n"+script), 0o755))
	return fields{"rclone": path}
}

func put(t testing.TB, s plugin.Store, key, content string) {
	t.Helper()
	stored, err := s.Put(t.Context(), key, strings.NewReader(content))
	if err != nil || stored.Key != key || stored.Size != int64(len(content)) {
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

// files returns the paths of all files below a folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	}))
	return all
}

func wantFiles(t testing.TB, dir string, n int) {
	t.Helper()
	if left := files(t, dir); len(left) != n {
		t.Errorf("there are %q, want %d files", left, n)
	}
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
