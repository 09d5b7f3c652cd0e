//go:build unix

package wasmhost_test

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needProgram returns the path of a program, and skips where it is missing;
// where that is promised it fails.
func needProgram(t testing.TB, debian, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		need(t, debian, pattern)
	}
	return found[len(found)-1]
}

// freePort returns a port that nothing listens on. Another process may take it
// before the server does; then that fails.
func freePort(t testing.TB) string {
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

const password = "open sesame 1"

// startRedis starts a Redis server and returns its address.
func startRedis(t testing.TB) string {
	t.Helper()
	program := needProgram(t, "redis-server", "/usr/bin/redis-server")
	port := freePort(t)
	cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir(), "--requirepass", password)
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	})
	addr := net.JoinHostPort("127.0.0.1", port)
	answers(t, addr)
	return addr
}

// answers waits until a server takes connections.
func answers(t testing.TB, addr string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return
		}
	}
	t.Fatalf("nothing listens on %s after a minute", addr)
}

// startPostgres makes and starts a PostgreSQL cluster and returns its address.
// The server refuses to be root, and then is the user that Debian has made for
// it.
func startPostgres(t testing.TB) string {
	t.Helper()
	bin := filepath.Dir(needProgram(t, "postgresql", "/usr/lib/postgresql/*/bin/initdb"))
	dir, err := os.MkdirTemp("", "pg-") // short, since it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	pw := filepath.Join(dir, "pw")
	writeFile(t, pw, []byte(password+"\n"))
	owner := ownerOf(t, dir, pw)
	run := func(name string, args ...string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, owner
		out, err := os.Create(filepath.Join(dir, name+".out")) // no pipe, which the server would keep open
		if err != nil {
			return err
		}
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
		return cmd.Run()
	}
	data, port := filepath.Join(dir, "data"), freePort(t)
	log := filepath.Join(dir, "log")
	options := strings.Join([]string{"-p", port, "-c", "listen_addresses=127.0.0.1", "-k", dir, "-c", "fsync=off"}, " ")
	err = run("initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile="+pw, "-N", "-E", "UTF8", "--no-locale")
	if err == nil {
		t.Cleanup(func() {
			if err := run("pg_ctl", "-D", data, "-m", "immediate", "-s", "stop"); err != nil {
				t.Errorf("stopping PostgreSQL: %v", err)
			}
		})
		err = run("pg_ctl", "-D", data, "-l", log, "-w", "-s", "-o", options, "start")
	}
	if err != nil {
		for _, name := range []string{"initdb.out", "pg_ctl.out", "log"} {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			t.Logf("%s: %s", name, text)
		}
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// ownerOf returns how to run as the user that PostgreSQL is to be, who gets
// the files.
func ownerOf(t testing.TB, files ...string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chown(f, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
