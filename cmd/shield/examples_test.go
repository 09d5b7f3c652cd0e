package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestExamples does what the README of each example says, and looks at the
// tables that shield plugin check prints: every check has passed.
func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("builds all examples")
	}
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		dir    string
		wants  []string // programs and files that have to be there
		tables int
	}{
		{"../../examples/plugin-sh", []string{"/usr/bin/jq", "/usr/bin/tar"}, 1},
		{"../../examples/target-go", nil, 2},
		{"../../examples/target-c", []string{"/usr/bin/clang", "/usr/include/wasm32-wasi"}, 1},
		{"../../examples/store-rust", []string{"/usr/bin/rustc", "/usr/lib/rustlib/wasm32-wasi"}, 1},
		{"../../examples/extism", []string{"/usr/bin/clang", "/usr/include/wasm32-wasi"}, 1},
		{"../../plugins-wasm/fs", nil, 1},
	} {
		t.Run(filepath.Base(tt.dir), func(t *testing.T) {
			t.Parallel()
			need(t, tt.wants...)
			readme, err := os.ReadFile(filepath.Join(tt.dir, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			out := follow(t, tt.dir, bin, string(readme))
			tables := strings.Count(out, "CHECK ")
			rows := regexp.MustCompile(`(?m)^(\S.*?) +\d+\.\d\d s +(.*)$`).FindAllStringSubmatch(out, -1)
			if tables != tt.tables || len(rows) < 8*tables {
				t.Fatalf("%d tables with %d rows:\n%s", tables, len(rows), out)
			}
			done := map[string]bool{}
			for _, row := range rows {
				done[row[1]] = true
				if row[2] != "passed" {
					t.Errorf("%s: %s", row[1], row[2])
				}
			}
			for _, row := range regexp.MustCompile(`(?m)^(\S.*?) +\d+\.\d\d s +passed$`).FindAllStringSubmatch(string(readme), -1) {
				if !done[row[1]] {
					t.Errorf("the README shows %q, which was not checked", row[1])
				}
			}
		})
	}
}

// need skips where something is missing; where that is promised it fails.
func need(t *testing.T, files ...string) {
	t.Helper()
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is wanted: scripts/deps test installs it", f)
		}
		t.Skipf("%s is wanted", f)
	}
}

// follow runs the commands of a README, which are the indented lines around
// the one that checks. What they put into /tmp goes to a folder of the test,
// and the port that they use is one that is free.
func follow(t *testing.T, dir, bin, readme string) string {
	t.Helper()
	script := ""
	for block := range strings.SplitSeq(readme, "\n\n") {
		if strings.Contains(block, "    shield plugin check ") {
			script = block
		}
	}
	script = regexp.MustCompile(`(?m)^( *apt-get .*)$`).ReplaceAllString(script, "")
	script = strings.ReplaceAll(script, "/tmp/", t.TempDir()+"/")
	script = strings.ReplaceAll(script, "7070", freePort(t))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-e", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	// Whatever a README starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	log := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(log) // no pipe, which what it leaves behind would hold open
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err = cmd.Start(); err == nil {
		err = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // there may be nothing left
	}
	out, readErr := os.ReadFile(log)
	if err != nil || readErr != nil {
		t.Fatalf("%v, %v\n%s", err, readErr, out)
	}
	return string(out)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestScriptsOfExamples runs the scripts that operators can read.
func TestScriptsOfExamples(t *testing.T) {
	t.Parallel()
	bin := programs(t)
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, end := range map[string]string{"targets/fs.sh": "Every file is back, twice\n", "dev-mode/run.sh": "something worth keeping\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := exec.Command("../../examples/" + name)
			script.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
			if out, err := script.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), end) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
