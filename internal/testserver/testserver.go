//go:build linux

// Package testserver starts real servers for tests: databases, brokers and
// object stores, each in a folder and on loopback ports of its own, and ends
// them with the test. A server that is not installed skips the test, or fails
// it where the variable CI is set, so that no check is lost unseen.
//
// Debian's packages come by scripts/deps, servers that have to be built by
// scripts/servers.
package testserver

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a server may take to be ready. It is meant for a
// machine that does much else.
const Patience = 3 * time.Minute

// Missing skips the test for the lack of something, or fails it under CI.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Tool returns the path of a program: that of the first of the names that is
// an existing file or found on PATH.
func Tool(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "none of %q is there: run scripts/deps test", names)
	return ""
}

// Built returns the path of a program that scripts/servers has built.
func Built(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SHIELD_TEST_SERVERS")
	if dir == "" {
		home, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, "shield-test-servers")
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		Missing(t, "%s was not built: run scripts/servers", name)
	}
	return path
}

// Port returns a loopback TCP port that was free a moment ago.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Dir returns an empty folder with a short path, for the sake of sockets,
// that everybody may enter. It is removed with the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// As makes a command run as the user of a package, like "postgres", where the
// test itself runs as root, which some servers refuse. The user gets the
// folders.
func As(t testing.TB, cmd *exec.Cmd, name string, folders ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup(name)
	if err != nil {
		Missing(t, "there is no user %s: run scripts/deps test", name)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	attributes(cmd).Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, dir := range folders {
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
}

func attributes(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}

// A Process is a server that runs.
type Process struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    *log
	exited chan struct{}
	once   sync.Once
}

// Start runs a server in a process group of its own and waits until ready
// returns nil. It is ended with the test.
func Start(t testing.TB, cmd *exec.Cmd, ready func(context.Context) error) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, out: &log{}, exited: make(chan struct{})}
	a := attributes(cmd)
	a.Setpgid, a.Pdeathsig = true, syscall.SIGKILL
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(p.Kill)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return p
		}
		select {
		case <-p.exited:
			t.Fatalf("%s ended: %s\n%s", filepath.Base(cmd.Path), cmd.ProcessState, p.out)
		case <-ctx.Done():
			t.Fatalf("%s is not ready: %v\n%s", filepath.Base(cmd.Path), err, p.out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Log returns the last of what the server wrote.
func (p *Process) Log() string { return p.out.String() }

// Pid is the number of the server's process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the server alone.
func (p *Process) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

// Stop asks the server to end and waits until it has.
func (p *Process) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(Patience):
		p.t.Errorf("%s does not stop: %s", filepath.Base(p.cmd.Path), p.out)
	}
	p.Kill()
}

// Kill ends the server and all that it has started, as kill -9 does.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // gone already, perhaps
		<-p.exited
	})
}

// Listening returns a check of whether somebody accepts connections at an
// address.
func Listening(network, addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// A log keeps the last of what is written to it.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const logLimit = 64 << 10

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > logLimit {
		l.b.Next(l.b.Len() - logLimit/2)
	}
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
