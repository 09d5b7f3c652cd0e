package fs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func TestInfo(t *testing.T) {
	t.Parallel()
	info, err := subject(t).Info(t.Context())
	must(t, err)
	must(t, info.Check())
	for _, a := range []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList} {
		if !info.Can(a) {
			t.Errorf("%s is not declared", a)
		}
	}
	if !info.Naming || !info.Has(plugin.RoleTarget) || !info.Has(plugin.RoleStore) {
		t.Errorf("naming and both roles are wanted: %+v", info)
	}
}

func TestPredecessorFields(t *testing.T) {
	t.Parallel()
	e := shield.Endpoint(`{"base_dir": "/srv", "include": "*.txt", "exclude": "tmp", "strict": "yes", "verbose": 0}`)
	if _, err := subject(t).OpenTarget(t.Context(), e, nil); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]string{
		"missing": `{}`, "relative": `{"base_dir": "srv"}`, "unknown": `{"base_dir": "/srv", "dir": "/x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target, err := subject(t).OpenTarget(t.Context(), shield.Endpoint(e), nil)
			if err == nil { // the module is not asked before something is to be done
				err = target.(plugin.Validator).Validate(t.Context())
			}
			wantCode(t, err, shield.Invalid)
			store, err := subject(t).OpenStore(t.Context(), shield.Endpoint(e), nil)
			if err == nil {
				err = store.(plugin.Validator).Validate(t.Context())
			}
			wantCode(t, err, shield.Invalid)
		})
	}
}

func TestValidateNamesBadPattern(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"[a-", "a//b", "../x", "!x", `x\`, "ok/[", "a/./b"} {
		for _, field := range []string{"include", "exclude"} {
			target, _ := openTarget(t, "/srv", field, "*.txt,"+pattern)
			err := target.(plugin.Validator).Validate(t.Context())
			wantCode(t, err, shield.Invalid, "endpoint."+field)
		}
	}
}

func TestTargetTest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"file": ""})
	test := func(dir string) error {
		target, _ := openTarget(t, dir)
		return target.(plugin.Tester).Test(t.Context())
	}
	must(t, test(dir))
	wantCode(t, test(filepath.Join(dir, "nothing")), shield.TargetFailed, filepath.Join(dir, "nothing"), "does not exist")
	wantCode(t, test(filepath.Join(dir, "file")), shield.TargetFailed, "not a folder")
	if os.Geteuid() != 0 {
		must(t, os.Chmod(dir, 0))
		wantCode(t, test(dir), shield.TargetFailed, "not accessible")
		must(t, os.Chmod(dir, 0o700))
	}
}

// TestBuilds keeps the source ready for the systems that we cannot run here.
func TestBuilds(t *testing.T) {
	t.Parallel()
	skipSandboxed(t)
	needTool(t, "go")
	for _, target := range [][2]string{{"wasip1", "wasm"}, {"darwin", "arm64"}, {"windows", "amd64"}} {
		t.Run(target[0], func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("go", "build", "-o", os.DevNull, "..")
			cmd.Env = append(os.Environ(), "GOOS="+target[0], "GOARCH="+target[1], "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestPortable runs the tests that hold everywhere against the source for
// systems other than Linux, which works on os.Root: natively, and the module in
// the sandbox of a host that has no file service.
func TestPortable(t *testing.T) {
	t.Parallel()
	skipSandboxed(t)
	needTool(t, "go")
	if testing.Short() {
		t.Skip("takes a build")
	}
	for name, env := range map[string]string{"native": "", "sandbox without the file service": "FS_TEST_SANDBOX=1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("go", "test", "-tags", "portable", "-short", "-count=1", ".")
			if env != "" {
				cmd.Env = append(os.Environ(), env)
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
