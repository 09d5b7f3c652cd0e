package fs_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func TestMaxAge(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), t.TempDir()
	writeFiles(t, dir, map[string]string{"new": "n", "old": "o", "folder/old": "o"})
	for _, name := range []string{"old", "folder/old", "folder"} {
		must(t, os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Now().Add(-2*time.Hour)))
	}
	stream, log := backup(t, dir, "max_age", "1h30m")
	if !strings.Contains(log.text(), "2 files were last modified before max_age") {
		t.Errorf("the log says %s", log.text())
	}
	mustRestore(t, to, stream)
	if diff := cmp.Diff([]string{"folder/", "new"}, tree(t, to)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bad, err := subject(t).OpenTarget(t.Context(), folder(t, dir, "max_age", "a month"), nil)
	if err == nil {
		err = bad.(plugin.Validator).Validate(t.Context())
	}
	wantCode(t, err, shield.Invalid, "max_age")
}

func TestConflict(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	stream := makeTar(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "newer", Size: 1, ModTime: now},
		tar.Header{Typeflag: tar.TypeReg, Name: "older", Size: 1, ModTime: now.Add(-2 * time.Hour)},
		tar.Header{Typeflag: tar.TypeReg, Name: "missing", Size: 1, ModTime: now},
		tar.Header{Typeflag: tar.TypeReg, Name: "large", Size: 1 << 20, ModTime: now.Add(-2 * time.Hour)},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "link", Linkname: "newer", ModTime: now.Add(-2 * time.Hour)},
	)
	for conflict, replaced := range map[string][]string{
		"replace": {"newer", "older", "large", "link"}, "newer": {"newer"}, "keep": nil, "fail": nil,
	} {
		t.Run(conflict, func(t *testing.T) {
			t.Parallel()
			to := t.TempDir()
			for _, name := range []string{"newer", "older", "large", "link"} {
				writeFiles(t, to, map[string]string{name: "mine"})
				must(t, os.Chtimes(filepath.Join(to, name), time.Time{}, now.Add(-time.Hour)))
			}
			log, err := restore(t, to, stream, "conflict", conflict)
			if conflict == "fail" {
				wantCode(t, err, shield.TargetFailed, "4 files", "newer")
			} else {
				must(t, err)
			}
			if kept := 4 - len(replaced); kept < 4 && kept > 0 && !strings.Contains(log.text(), "3 files that exist were kept") {
				t.Errorf("the log says %s", log.text())
			}
			mine := []string{}
			for _, name := range []string{"newer", "older", "large", "link"} {
				if b, err := os.ReadFile(filepath.Join(to, name)); err == nil && string(b) == "mine" {
					mine = append(mine, name)
				}
			}
			if len(mine) != 4-len(replaced) || cmp.Diff(mine, replaced) == "" {
				t.Errorf("%q stayed", mine)
			}
			if _, err := os.Stat(filepath.Join(to, "missing")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestProbeAndInspect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": "12345", "b/c": "678", "b/left.tmp": "9"})
	must(t, os.Symlink("a", filepath.Join(dir, "l")))
	if runtime.GOOS == "linux" && !portable {
		must(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b", "twin")))
	}
	target, _ := openTarget(t, dir, "exclude", "*.tmp")
	probed, err := target.(plugin.Prober).Probe(t.Context())
	must(t, err)
	stream, _ := backup(t, dir, "exclude", "*.tmp")
	inspected, err := target.(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(stream))
	must(t, err)
	if diff := cmp.Diff(probed, inspected); diff != "" {
		t.Errorf("what was probed and what is in the archive differ (-probed +archive):\n%s", diff)
	}
	if n := probed.Counts; n["files"] != 2 || n["folders"] != 2 || n["others"] != 1 || n["bytes"] != 8 {
		t.Errorf("the counts are %v", n)
	}
	_, err = target.(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(stream[:len(stream)-512]))
	wantCode(t, err, shield.Corrupt, "cut off")
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, openStore(t, dir, "mode", "0664"), key, "x")
	for name, want := range map[string]os.FileMode{key: 0o664, "2026": os.ModeDir | 0o775, "2026/01/31": os.ModeDir | 0o775} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode() != want && !onWASI() { // which cannot set modes
			t.Errorf("%s has the mode %v, want %v", name, info.Mode(), want)
		}
	}
	for _, mode := range []string{"0400", "1777", "rw", "7777", "-1", "0x1ff"} {
		s, err := subject(t).OpenStore(t.Context(), folder(t, dir, "mode", mode), nil)
		if err == nil {
			err = s.(plugin.Validator).Validate(t.Context())
		}
		wantCode(t, err, shield.Invalid, "mode", mode)
	}
}
