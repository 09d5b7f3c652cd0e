//go:build linux

package redis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/redis/redis"
)

func contextWithCause(t *testing.T) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}

// service runs a server as a service manager does: it belongs to its own
// user, saves when it ends, and a script starts it anew. It returns the
// script.
func service(t *testing.T, settings ...string) (s *testserver.Redis, script string) {
	t.Helper()
	s = &testserver.Redis{Dir: testserver.Dir(t), Port: testserver.Port(t), Password: "redis-pw"}
	s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	conf := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\ndbfilename dump.rdb\nsave 3600 1\nrequirepass %s\n"+
		"daemonize yes\npidfile %s/pid\nlogfile %s/log\nenable-debug-command yes\n%s\n",
		s.Port, s.Dir, s.Password, s.Dir, s.Dir, strings.Join(settings, "\n"))
	if err := os.WriteFile(filepath.Join(s.Dir, "redis.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	as := ""
	if os.Getuid() == 0 {
		as = "setpriv --reuid redis --regid redis --clear-groups"
		chown := exec.Command("chown", "redis:redis", s.Dir)
		if out, err := chown.CombinedOutput(); err != nil {
			testserver.Missing(t, "%v: %s", err, out)
		}
	}
	script = filepath.Join(testserver.Dir(t), "redis-restart")
	text := fmt.Sprintf(`#!/bin/sh
set -e
cd %s
if test -s pid; then
	p=$(cat pid)
	kill "$p" 2>/dev/null || true
	while kill -0 "$p" 2>/dev/null; do sleep 0.05; done
fi
test ! -e broken
setsid %s %s redis.conf # or it ends with this script's process group
`, s.Dir, as, testserver.Tool(t, "redis-server"))
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	start := exec.Command(script)
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if pid, err := os.ReadFile(filepath.Join(s.Dir, "pid")); err == nil {
			n, _ := strconv.Atoi(strings.TrimSpace(string(pid)))
			if n > 1 {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
	})
	ready(t, s)
	return s, script
}

func ready(t testing.TB, s *testserver.Redis) {
	t.Helper()
	// While it loads it answers DEBUG already, with what it has until then.
	check := testserver.Listening("tcp", s.Addr)
	for check(t.Context()) != nil || !strings.Contains(cli(t, s, "info", "persistence"), "loading:0") {
		if t.Context().Err() != nil {
			t.Fatal("the server does not come")
		}
	}
}

// The whole way on the server's own host, through shieldd: BGSAVE, and a
// restore that places the file and restarts the server, for a server that
// saves to its dump and for one with append-only files.
func TestLocalStory(t *testing.T) {
	for _, only := range []string{"no", "yes"} {
		t.Run("appendonly "+only, func(t *testing.T) {
			r, script := service(t, "appendonly "+only)
			fill(t, r)
			want := digest(t, r)
			s := shieldtest.Start(t)
			s.Install(shieldtest.Module(t, "redis"))
			grant, _ := json.Marshal(map[string]any{
				"tcp": []string{"{host}:{port}"}, "own": []string{"{data_dir}"}, "memory": "1280MiB",
				"exec": map[string]any{"redis-restart": map[string]any{"path": script}},
			})
			s.Run("plugin", "grant", "redis", string(grant))
			store := filepath.Join(s.Dir, "store")
			if err := os.Mkdir(store, 0o700); err != nil {
				t.Fatal(err)
			}
			s.Store("disk", "fs", `{"base_dir":"`+store+`"}`)
			s.Target("r", "redis", string(endpoint(r, "mode", "local", "data_dir", r.Dir)))
			s.Job("nightly", "r", "disk")
			archive := s.Backup("nightly")
			cli(t, r, "flushall")
			cli(t, r, "set", "new", "key")
			s.Restore(archive.UUID, "")
			if got := digest(t, r); got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
			clean(t, r)
			// It is still there after another restart, and can be written.
			cli(t, r, "set", "after", "restore")
			want = digest(t, r)
			if out, err := exec.Command(script).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			ready(t, r)
			if got := digest(t, r); got != want {
				t.Errorf("after a restart: digest %s, want %s", got, want)
			}
		})
	}
}

// clean looks for files that a restore has left.
func clean(t *testing.T, r *testserver.Redis) {
	t.Helper()
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "restore") {
			t.Errorf("%s was left", e.Name())
		}
	}
}

// A server that does not come up again gets back what it had.
func TestLocalRestoreIsUndone(t *testing.T) {
	r, script := service(t)
	t.Setenv("PATH", filepath.Dir(script)+":"+os.Getenv("PATH"))
	cli(t, r, "set", "k", "archived")
	e := endpoint(r, "mode", "local", "data_dir", r.Dir)
	archive, err := backup(t, redis.Plugin(), e)
	if err != nil {
		t.Fatal(err)
	}
	cli(t, r, "set", "k", "newer")
	cli(t, r, "save")
	if err := os.WriteFile(filepath.Join(r.Dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = restore(t, redis.Plugin(), e, archive)
	wantError(t, err, shield.TargetFailed, "could not be restarted")
	clean(t, r)
	if err := os.Remove(filepath.Join(r.Dir, "broken")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ready(t, r)
	if got := cli(t, r, "get", "k"); got != "newer" {
		t.Errorf("k is %q", got)
	}
	// A damaged archive does not touch the server at all.
	err = restore(t, redis.Plugin(), e, archive[:len(archive)-3])
	wantError(t, err, shield.Corrupt, "not a whole RDB file")
	if got := cli(t, r, "get", "k"); got != "newer" {
		t.Errorf("k is %q", got)
	}
	clean(t, r)
}

func TestLocalFaults(t *testing.T) {
	r, _ := service(t)
	cli(t, r, "set", "k", "v")
	_, err := backup(t, redis.Plugin(), endpoint(r, "mode", "local", "data_dir", t.TempDir()))
	wantError(t, err, shield.Invalid, "saves into")
	cli(t, r, "acl", "setuser", "u", "on", ">pw", "~*", "+info", "+ping", "+bgsave")
	_, err = backup(t, redis.Plugin(), endpoint(r, "mode", "local", "data_dir", r.Dir, "username", "u", "password", "pw"))
	wantError(t, err, shield.Forbidden, "settings")
	// The server cannot save: its folder is in the way of the file.
	if err := os.Mkdir(filepath.Join(r.Dir, "dump.rdb"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = backup(t, redis.Plugin(), endpoint(r, "mode", "local", "data_dir", r.Dir))
	wantError(t, err, shield.TargetFailed, "BGSAVE has failed")
}

// Disk full while the file is written: the server goes on as before.
func TestLocalRestoreOnFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	r, _ := service(t, "rdbcompression no")
	cli(t, r, "debug", "populate", "20000", "key", "1000")
	archive, err := backup(t, redis.Plugin(), endpoint(r, "mode", "local", "data_dir", r.Dir))
	if err != nil {
		t.Fatal(err)
	}
	small := testserver.Dir(t)
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=4m,mode=0777"); err != nil {
		testserver.Missing(t, "a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	s := testserver.StartRedis(t, "--dir", small)
	cli(t, s, "set", "k", "v")
	err = restore(t, redis.Plugin(), endpoint(s, "mode", "local", "data_dir", small), archive)
	wantError(t, err, shield.TargetFailed, "no space left")
	if got := cli(t, s, "get", "k"); got != "v" {
		t.Errorf("k is %q", got)
	}
	if entries, err := os.ReadDir(small); err != nil || len(entries) != 0 {
		t.Errorf("%v was left, %v", entries, err)
	}
}

// Probe counts what is there.
func TestProbe(t *testing.T) {
	each(t, func(t *testing.T, o plugin.Opener) {
		s := testserver.StartRedis(t)
		fill(t, s)
		target, err := o.OpenTarget(t.Context(), endpoint(s), nil)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := target.(plugin.Prober)
		if !ok {
			t.Fatal("the carrier does not probe")
		}
		got, err := p.Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Counts["keys"] != 23 || got.Counts["databases"] != 3 || !strings.HasPrefix(got.Versions["server"], "Redis 7.") {
			t.Errorf("got %+v", got)
		}
	})
}
