//go:build linux

package rclone_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	oexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	testserver.Tool(t, "rclone")
	dir := t.TempDir()
	s := open(t, endpoint(t, local(dir), fields{"rclone": filepath.Join(dir, "nowhere")}))
	_, err := s.Put(t.Context(), key, strings.NewReader("x"))
	wantError(t, err, shield.Invalid, "endpoint.rclone", "Debian's package rclone")
	_, err = get(t, s, key)
	wantError(t, err, shield.Invalid, "Debian's package rclone")
	wantError(t, s.(plugin.Tester).Test(t.Context()), shield.Invalid, "Debian's package rclone")
}

// hangs is what a program does that neither reads nor ends, from a command on.
const hangs = `case $1 in %s) while :; do sleep 1; done;; *) exec $RCLONE "$@";; esac`

func TestHungProgram(t *testing.T) {
	for _, command := range []string{"rcat", "lsjson", "moveto", "backend", "cat", "deletefile"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, open(t, endpoint(t, local(dir))), key, "there")
			s := open(t, endpoint(t, local(dir), fake(t, fmt.Sprintf(hangs, command)), fields{"stall_timeout": "1s"}))
			var err error
			switch command {
			case "cat":
				_, err = get(t, s, key)
			case "deletefile":
				err = s.Delete(t.Context(), key)
			default:
				_, err = s.Put(t.Context(), "other", plugintest.Stream(1<<20, 1))
			}
			wantError(t, err, shield.Unavailable, "rclone hangs", "1s")
			if command != "lsjson" { // without it nothing can be cleaned up
				wantFiles(t, dir, 1)
			}
		})
	}
}

// TestLyingProgram: a program that ends well and has done nothing is believed
// in nothing.
func TestLyingProgram(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		texts  []string
	}{
		"stores nothing":        {`case $1 in rcat) cat >/dev/null; exit 0;; esac`, []string{"the remote does not have it"}},
		"stores a part":         {`case $1 in rcat) head -c 1000 | $RCLONE "$@"; cat >/dev/null; exit 0;; esac`, []string{"1000 bytes of the 300000"}},
		"stores something else": {`case $1 in rcat) tr '\000' '\001' | $RCLONE "$@"; exit;; esac`, []string{"the remote has sha256", "but was given"}},
		"reads a part":          {`case $1 in rcat) head -c 1 | $RCLONE "$@"; exit 0;; esac`, []string{"before it was given all of it"}},
		"moves nothing":         {`case $1 in moveto) exit 0;; esac`, []string{"there is no " + key}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, endpoint(t, local(dir), fake(t, c.script+"\nexec $RCLONE \"$@\""), fields{"checksum": "always"}))
			size := int64(300_000)
			if name == "reads a part" {
				size = 5 << 20
			}
			_, err := s.Put(t.Context(), key, plugintest.Stream(size, 1))
			if err == nil {
				t.Fatal("no error")
			}
			wantError(t, err, shield.CodeOf(err), c.texts...)
			wantFiles(t, dir, 0)
		})
	}
}

// TestTruncatedDownload: a part of an archive never looks like the whole.
func TestTruncatedDownload(t *testing.T) {
	dir := t.TempDir()
	put(t, open(t, endpoint(t, local(dir))), key, strings.Repeat("x", 100_000))
	for name, c := range map[string]struct{ script, text string }{
		"exit status 0":  {"$RCLONE \"$@\" | head -c 99999; exit 0", "99999 bytes"},
		"nothing":        {"exit 0", "gave 0 bytes"},
		"failure":        {"$RCLONE \"$@\" | head -c 99999; echo connection reset by peer >&2; exit 1", "connection reset"},
		"failure at end": {"$RCLONE \"$@\"; echo oh no >&2; exit 2", "exit status 2: oh no"},
		"more":           {"$RCLONE \"$@\"; echo more; exit 0", "100005 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, endpoint(t, local(dir), fake(t, "case $1 in cat) "+c.script+";; esac\nexec $RCLONE \"$@\"")))
			_, err := get(t, s, key)
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %q", err, c.text)
			}
		})
	}
}

// TestDamagedCrypt: what rclone itself finds to be damaged is an error.
func TestDamagedCrypt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, endpoint(t, crypt(t, dir)))
	put(t, s, key, strings.Repeat("x", 200_000))
	all := files(t, dir)
	if len(all) != 1 {
		t.Fatalf("files %q", all)
	}
	b, err := os.ReadFile(all[0])
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(all[0], b, 0o600))
	_, err = get(t, s, key)
	wantError(t, err, shield.Corrupt, "failed to authenticate decrypted block")
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		testserver.Missing(t, "no tmpfs: %v", err)
	}
	defer func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) }()
	s := open(t, endpoint(t, local(dir)))
	put(t, s, "small", "x")
	_, err := s.Put(t.Context(), key, plugintest.Stream(4<<20, 1))
	wantError(t, err, shield.StoreFailed, "no space left on device")
	wantFiles(t, dir, 1)
	fill(t, filepath.Join(dir, "filler"))
	wantError(t, s.(plugin.Tester).Test(t.Context()), shield.StoreFailed, "cannot write")
}

// fill makes a file of all the room that is left.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}

// TestBrokenInput: an input that fails is never stored, however long it was.
func TestBrokenInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, endpoint(t, local(dir)))
	broken := errors.New("the input is broken")
	for _, size := range []int64{0, 10, 200_000, 3 << 20} {
		_, err := s.Put(t.Context(), key, io.MultiReader(plugintest.Stream(size, 1), failing{broken}))
		if !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", size, err)
		}
		wantFiles(t, dir, 0)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestKilled kills the plugin, rclone, or both amid an upload: nothing is to
// be seen, and Delete removes what is left.
func TestKilled(t *testing.T) {
	for _, victim := range []string{"plugin", "rclone", "group"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			e := endpoint(t, local(dir))
			s := open(t, e)
			cmd := oexec.Command(shieldtest.Executable(t, "rclone"), "store", "--name", key)
			cmd.Env = append(os.Environ(), "SHIELD_ENDPOINT="+string(e))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			stdin, err := cmd.StdinPipe()
			must(t, err, cmd.Start())
			_, err = io.Copy(stdin, plugintest.Stream(2<<20, 1))
			must(t, err)
			child := childOf(t, cmd.Process.Pid)
			switch victim {
			case "plugin":
				must(t, cmd.Process.Kill())
			case "group":
				must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
			case "rclone":
				must(t, syscall.Kill(child, syscall.SIGKILL))
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the plugin succeeded")
			}
			gone(t, child)
			if _, err := get(t, s, key); !errors.Is(err, shield.NotFound) {
				t.Errorf("get: %v", err)
			}
			must(t, s.(plugin.Lister).List(t.Context(), "", func(o plugin.Object) error { return fmt.Errorf("%q is listed", o.Key) }))
			must(t, s.Delete(t.Context(), key))
			wantFiles(t, dir, 0)
		})
	}
}

// TestTerminated tells the plugin to stop, as the host does: it cleans up.
func TestTerminated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := oexec.Command(shieldtest.Executable(t, "rclone"), "store", "--name", key)
	cmd.Env = append(os.Environ(), "SHIELD_ENDPOINT="+string(endpoint(t, local(dir))))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	must(t, err, cmd.Start())
	_, err = io.Copy(stdin, plugintest.Stream(2<<20, 1))
	must(t, err)
	childOf(t, cmd.Process.Pid)
	must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM))
	if err := cmd.Wait(); err == nil {
		t.Error("the plugin succeeded")
	}
	wantFiles(t, dir, 0)
}

// childOf returns the number of the rclone that a process has started.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	for range 6000 {
		out, err := oexec.Command("pgrep", "-P", fmt.Sprint(pid), "-f", "rclone rcat").Output()
		n := 0
		if _, scanErr := fmt.Sscan(string(out), &n); err == nil && scanErr == nil {
			return n
		}
	}
	t.Fatal("rclone was not started")
	return 0
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 60000 {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(b), ") Z ") {
			return
		}
	}
	t.Errorf("process %d lives on", pid)
}

// TestNothingSecret: neither the configuration nor the remote is on a command
// line, and the file of the configuration is private and gone afterwards.
func TestNothingSecret(t *testing.T) {
	dir := t.TempDir()
	seen := filepath.Join(t.TempDir(), "seen")
	t.Setenv("TMPDIR", t.TempDir())
	f := crypt(t, dir)
	s := open(t, endpoint(t, f, fake(t, `echo "$@" >>`+seen+`; stat -c '%a %n' . ./rclone.conf >>`+seen+"\nexec $RCLONE \"$@\"")))
	put(t, s, key, "content")
	_, err := get(t, s, key)
	must(t, err, s.Delete(context.WithoutCancel(t.Context()), key))
	b, err := os.ReadFile(seen)
	must(t, err)
	text := string(b)
	secret := strings.TrimSpace(strings.SplitN(f["config"].(string), "password = ", 2)[1])
	if strings.Contains(text, "hidden") || strings.Contains(text, secret) {
		t.Errorf("command lines: %s", text)
	}
	if !strings.Contains(text, "600 ./rclone.conf") || strings.Contains(text, "644 ") || !strings.Contains(text, "700 .") {
		t.Errorf("modes: %s", text)
	}
	wantFiles(t, os.Getenv("TMPDIR"), 0)
}
