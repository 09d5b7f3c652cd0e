package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shield": main})
}

// TestScripts runs testdata/*.txt. The commands beside those of testscript:
//
// $MODULES is a folder with the plugin modules lines.wasm and fs.wasm, $EXAMPLES
// that of the examples.
//
//	startd DIR [FLAG...]    start shieldd on $WORK/DIR, with no bundled plugin but
//	                        fs, which is compiled in; wait until it listens,
//	                        set SHIELD_API and SHIELD_TOKEN_FILE; its output
//	                        goes to the files DIR.out and DIR.err
//	stopd                   stop it as a service manager does; it exits with 0
//	killd                   kill -9
//	exits N PROGRAM ARG...  run a program that exits with N
//	interrupt TEXT ARG...   run shield ARG..., interrupt it when its standard
//	                        error has TEXT; it exits with 130
//	until TEXT ARG...       run shield ARG... until its output has TEXT
//	capture NAME REGEXP     set a variable to the first group in stdout
func TestScripts(t *testing.T) {
	bin := programs(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", e.Getenv("PATH")+string(os.PathListSeparator)+bin)
			e.Setenv("MODULES", bin)
			e.Setenv("EXAMPLES", examples)
			e.Setenv("GORACE", "atexit_sleep_ms=0") // each shield would sleep a second
			d := &daemon{}
			e.Values[daemonKey{}] = d
			e.Defer(d.kill)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"startd": startd, "stopd": stopd, "killd": killd,
			"exits": exits, "interrupt": interrupt, "until": until, "capture": capture,
		},
	})
}

// programs builds the other programs, as make does, and returns their folder.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, "../shieldd", "../shield-schema", "../shield-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, source := range map[string]string{"lines.wasm": "../../examples/target-go", "fs.wasm": "../../plugins-wasm/fs"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=wasip1", "GOARCH=wasm")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", source, err, out)
		}
	}
	return dir
}

type daemonKey struct{}

// A daemon is the shieldd of a script.
type daemon struct {
	mu  sync.Mutex
	cmd *exec.Cmd
}

func daemonOf(ts *testscript.TestScript) *daemon { return ts.Value(daemonKey{}).(*daemon) }

func (d *daemon) end(s syscall.Signal) (*os.ProcessState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil {
		return nil, errors.New("no daemon runs")
	}
	err := d.cmd.Process.Signal(s)
	_ = d.cmd.Wait() // its status is in ProcessState
	state := d.cmd.ProcessState
	d.cmd = nil
	return state, err
}

func (d *daemon) kill() { _, _ = d.end(syscall.SIGKILL) }

// environ is the part of a script's environment that programs need.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "WORK", "HOME", "TMPDIR", "SHIELD_API", "SHIELD_TOKEN_FILE", "SHIELD_TOKEN", "SHIELD_CONFIG", "SHIELD_LISTEN", "SHIELD_LOG_FORMAT", "SHIELD_MODE"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func startd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: startd DIR [FLAG...]")
	}
	path, err := lookPath(ts, "shieldd")
	ts.Check(err)
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	errOut, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer errOut.Close()
	data := ts.MkAbs(args[0])
	cmd := exec.Command(path, append([]string{"--data", data, "--listen", "127.0.0.1:0", "--no-sandbox"}, args[1:]...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), environ(ts), out, errOut
	ts.Check(cmd.Start())
	d := daemonOf(ts)
	d.mu.Lock()
	d.cmd = cmd
	d.mu.Unlock()
	listening := regexp.MustCompile(`(?m)^listening on (http://\S+)$`)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if m := listening.FindStringSubmatch(ts.ReadFile(args[0] + ".out")); m != nil {
			ts.Setenv("SHIELD_API", m[1])
			ts.Setenv("SHIELD_TOKEN_FILE", filepath.Join(data, "admin-token"))
			return
		}
	}
	ts.Fatalf("shieldd does not listen: %s", ts.ReadFile(args[0]+".err"))
}

func stopd(ts *testscript.TestScript, _ bool, _ []string) {
	state, err := daemonOf(ts).end(syscall.SIGTERM)
	ts.Check(err)
	if !state.Success() {
		ts.Fatalf("shieldd: %s", state)
	}
}

func killd(ts *testscript.TestScript, _ bool, _ []string) {
	_, err := daemonOf(ts).end(syscall.SIGKILL)
	ts.Check(err)
}

func lookPath(ts *testscript.TestScript, program string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, program)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", errors.New("there is no " + program)
}

func statusOfExit(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	if exit == nil {
		return 0
	}
	return exit.ExitCode()
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := statusOfExit(ts, ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// A safeBuffer can be read while a program writes to it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt TEXT ARG...")
	}
	path, err := lookPath(ts, "shield")
	ts.Check(err)
	var out safeBuffer
	cmd := exec.Command(path, args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ(ts), &out, &out
	ts.Check(cmd.Start())
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), args[0]); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			ts.Fatalf("shield does not say %q within a minute: %s", args[0], out.String())
		}
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	status := statusOfExit(ts, cmd.Wait())
	ts.Check(os.WriteFile(ts.MkAbs("interrupted"), []byte(out.String()), 0o600))
	if status != 130 {
		ts.Fatalf("exit status %d, want 130: %s", status, out.String())
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until TEXT ARG...")
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := ts.Exec("shield", args[1:]...); err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
	}
	ts.Fatalf("there is no %q: %s%s", args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("stdout does not match %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}
