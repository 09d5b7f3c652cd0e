//go:build linux

package restic_test

import (
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
	s := open(t, repository(t), fields{"restic": "/nowhere/restic"})
	_, err := s.Put(t.Context(), key, strings.NewReader("x"))
	wantError(t, err, shield.Invalid, "endpoint.restic", "Debian's package restic")
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := open(t, repository(t), fields{"password": "not the password"})
	_, err := s.Put(t.Context(), key, strings.NewReader("x"))
	wantError(t, err, shield.Unauthorized, "wrong password")
	_, err = get(t, s, key)
	wantError(t, err, shield.Unauthorized, "wrong password")
	wantError(t, s.Delete(t.Context(), key), shield.Unauthorized, "wrong password")
	wantError(t, s.(plugin.Tester).Test(t.Context()), shield.Unauthorized, "wrong password")
	if strings.Contains(err.Error(), "not the password") {
		t.Error("the error quotes the password")
	}
}

// TestNoRepository: one is made only where that is wanted, and what is not
// there is not taken for a missing archive.
func TestNoRepository(t *testing.T) {
	t.Parallel()
	f := fields{"repository": filepath.Join(t.TempDir(), "new"), "password": password}
	s := open(t, f)
	_, err := s.Put(t.Context(), key, strings.NewReader("x"))
	wantError(t, err, shield.Invalid, "endpoint.repository", "init makes one")
	_, err = get(t, s, key)
	wantError(t, err, shield.Invalid, "endpoint.repository")
	wantError(t, s.Delete(t.Context(), key), shield.Invalid, "endpoint.repository")
	s = open(t, f, fields{"init": true})
	_, err = get(t, s, key)
	wantError(t, err, shield.NotFound)
	must(t, s.Delete(t.Context(), key))
	put(t, s, key, strings.NewReader("x"), 1)
	if got, err := get(t, s, key); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// lock makes a lock as a prune has it, of a process of another host or of one
// that is gone, and returns how to remove it.
func lock(t *testing.T, f fields) *oexec.Cmd {
	t.Helper()
	// A restic that waits for its input has a lock that nobody else may be
	// beside who wants to remove something.
	cmd := oexec.Command("restic", "backup", "--stdin", "--stdin-filename", "holder", "--quiet")
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+f["repository"].(string), "RESTIC_PASSWORD="+password)
	_, err := cmd.StdinPipe()
	must(t, err, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 60000 {
		if locks, _ := filepath.Glob(filepath.Join(f["repository"].(string), "locks", "*")); len(locks) > 0 {
			return cmd
		}
	}
	t.Fatal("no lock")
	return nil
}

// TestLocked: a repository that others use is unavailable, after a while, and
// one with a stale lock is only helped if that is wanted.
func TestLocked(t *testing.T) {
	t.Parallel()
	f := repository(t)
	s := open(t, f, fields{"lock_wait": "1s"})
	put(t, s, key, strings.NewReader("content"), 7)
	holder := lock(t, f)
	wantError(t, s.Delete(t.Context(), key), shield.Unavailable, "already locked by PID")
	if got, err := get(t, s, key); got != "content" || err != nil {
		t.Errorf("reading needs no lock: %q, %v", got, err)
	}
	put(t, s, "other", strings.NewReader("x"), 1) // and storing is not in the way of storing
	must(t, holder.Process.Kill())
	_ = holder.Wait()
	wantError(t, s.Delete(t.Context(), key), shield.Unavailable, "already locked by PID")
	must(t, open(t, f, fields{"unlock": true}).Delete(t.Context(), key))
	_, err := get(t, s, key)
	wantError(t, err, shield.NotFound)
}

// TestLockedPut: an archive of which restic has not read anything yet is given
// to it again when the repository is free.
func TestLockedPut(t *testing.T) {
	t.Parallel()
	f := repository(t)
	mark := filepath.Join(t.TempDir(), "mark")
	script := `case "$1 $*" in "backup "*shield-data*)
if ! test -e ` + mark + `; then touch ` + mark + `; echo "unable to create lock in backend: repository is already locked exclusively by PID 1" >&2; exit 1; fi;; esac
exec $RESTIC "$@"`
	s := open(t, f, fake(t, script))
	put(t, s, key, plugintest.Stream(300_000, 1), 300_000)
	if got, err := get(t, s, key); got != string(plugintest.Bytes(300_000, 1)) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestCorrupt flips a byte in each pack of data: what needs one cannot be read.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	f := repository(t)
	s := open(t, f)
	put(t, s, key, plugintest.Stream(3<<20, 1), 3<<20)
	packs, err := filepath.Glob(filepath.Join(f["repository"].(string), "data", "*", "*"))
	must(t, err)
	if len(packs) == 0 {
		t.Fatal("no packs")
	}
	for _, p := range packs {
		b, err := os.ReadFile(p)
		must(t, err)
		if len(b) < 1<<20 { // trees, which are cached
			continue
		}
		b[len(b)/2] ^= 1
		must(t, os.Chmod(p, 0o600), os.WriteFile(p, b, 0o600))
	}
	_, err = get(t, s, key)
	wantError(t, err, shield.Corrupt)
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		testserver.Missing(t, "no tmpfs: %v", err)
	}
	defer func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) }()
	f := fields{"repository": filepath.Join(dir, "repository"), "password": password}
	s := open(t, f, fields{"init": true})
	put(t, s, "small", strings.NewReader("x"), 1)
	_, err := s.Put(t.Context(), key, plugintest.Stream(16<<20, 1))
	wantError(t, err, shield.StoreFailed, "no space left on device")
	_, err = get(t, s, key)
	wantError(t, err, shield.NotFound)
	if got, err := get(t, s, "small"); got != "x" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if n := snapshots(t, f); n != 2 {
		t.Errorf("there are %d snapshots, want those of the small archive", n)
	}
}

// TestBrokenInput: restic makes a snapshot of whatever it was given until its
// input ended. It never ends here.
func TestBrokenInput(t *testing.T) {
	t.Parallel()
	f := repository(t)
	s := open(t, f)
	broken := errors.New("the input is broken")
	for _, size := range []int64{0, 10, 3 << 20} {
		_, err := s.Put(t.Context(), key, io.MultiReader(plugintest.Stream(size, 1), failing{broken}))
		if !errors.Is(err, broken) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if n := snapshots(t, f); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
	tool(t, f, "check", "--quiet") // wants a repository without locks
}

// TestLyingProgram: a program that ends well and has done nothing, or only a
// part, is believed in nothing.
func TestLyingProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, text string }{
		"stores nothing":   {`case $1 in backup) cat >/dev/null; exit 0;; esac`, "without a summary"},
		"stores a part":    {`case "$1 $*" in "backup "*shield-data*) head -c 1000 | $RESTIC "$@"; cat >/dev/null; exit 0;; esac`, "1000 bytes of the 300000"},
		"lies about it":    {`case "$1 $*" in "backup "*shield-data*) head -c 1000 | $RESTIC "$@" | sed s/processed.:1000/processed\":300000/; cat >/dev/null; exit 0;; esac`, "holds 1000 bytes of the 300000"},
		"does not commit":  {`case "$1 $*" in "backup "*shield-archive*) cat >/dev/null; exit 0;; esac`, "without a summary"},
		"ends with a note": {`case "$1 $*" in "backup "*shield-data*) $RESTIC "$@"; exit 3;; esac`, "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := repository(t)
			s := open(t, f, fake(t, c.script+"\nexec $RESTIC \"$@\""))
			_, err := s.Put(t.Context(), key, plugintest.Stream(300_000, 1))
			wantError(t, err, shield.StoreFailed, c.text)
			_, err = get(t, s, key)
			wantError(t, err, shield.NotFound)
			if n := snapshots(t, f); n != 0 {
				t.Errorf("%d snapshots are left", n)
			}
		})
	}
}

// TestTruncatedDownload: a part of an archive never looks like the whole.
func TestTruncatedDownload(t *testing.T) {
	t.Parallel()
	f := repository(t)
	put(t, open(t, f), key, strings.NewReader(strings.Repeat("x", 100_000)), 100_000)
	for script, text := range map[string]string{
		`$RESTIC "$@" | head -c 99999; exit 0`: "99999 bytes",
		`exit 0`:                               "gave 0 bytes",
		`$RESTIC "$@"; echo oh no >&2; exit 1`: "exit status 1: oh no",
		`$RESTIC "$@"; echo more; exit 0`:      "100005 bytes",
		`while :; do sleep 1; done`:            "restic hangs",
		`$RESTIC "$@" | head -c 9; kill -9 $$`: "signal: killed",
	} {
		s := open(t, f, fake(t, "case $1 in dump) "+script+";; esac\nexec $RESTIC \"$@\""), fields{"stall_timeout": "3s"})
		if _, err := get(t, s, key); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v, want %q", script, err, text)
		}
	}
}

// TestHungProgram: a restic that hangs before or amid a backup is ended.
func TestHungProgram(t *testing.T) {
	t.Parallel()
	f := repository(t)
	s := open(t, f, fake(t, "case $1 in backup) while :; do sleep 1; done;; esac\nexec $RESTIC \"$@\""), fields{"stall_timeout": "1s"})
	_, err := s.Put(t.Context(), key, plugintest.Stream(3<<20, 1))
	wantError(t, err, shield.Unavailable, "restic hangs")
	if n := snapshots(t, f); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
}

// TestKilled kills the plugin, restic, or both amid a backup: there is no
// archive, and after Delete no snapshot.
func TestKilled(t *testing.T) {
	for _, victim := range []string{"plugin", "restic", "group"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			f := repository(t)
			s := open(t, f, fields{"unlock": true})
			cmd, child := amid(t, f)
			switch victim {
			case "plugin":
				must(t, cmd.Process.Kill())
			case "group":
				must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
			case "restic":
				must(t, syscall.Kill(child, syscall.SIGKILL))
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the plugin succeeded")
			}
			gone(t, child)
			_, err := get(t, s, key)
			wantError(t, err, shield.NotFound)
			must(t, s.(plugin.Lister).List(t.Context(), "", func(o plugin.Object) error { return fmt.Errorf("%q is listed", o.Key) }))
			must(t, s.Delete(t.Context(), key))
			if n := snapshots(t, f); n != 0 {
				t.Errorf("%d snapshots are left", n)
			}
		})
	}
}

// TestTerminated tells the plugin to stop, as the host does: neither a snapshot
// nor a lock is left.
func TestTerminated(t *testing.T) {
	t.Parallel()
	f := repository(t)
	cmd, _ := amid(t, f)
	must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM))
	if err := cmd.Wait(); err == nil {
		t.Error("the plugin succeeded")
	}
	if n := snapshots(t, f); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
	if locks, _ := filepath.Glob(filepath.Join(f["repository"].(string), "locks", "*")); len(locks) > 0 {
		t.Errorf("locks %q are left", locks)
	}
}

// amid returns a plugin that is amid a Put, and the number of its restic, which
// has its lock.
func amid(t *testing.T, f fields) (cmd *oexec.Cmd, child int) {
	t.Helper()
	cmd = oexec.Command(shieldtest.Executable(t, "restic"), "store", "--name", key)
	cmd.Env = append(os.Environ(), "SHIELD_ENDPOINT="+string(endpoint(t, f)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	must(t, err, cmd.Start())
	_, err = io.Copy(stdin, plugintest.Stream(6<<20, 1)) // more than pipes and the plugin hold
	must(t, err)
	for range 6000 {
		out, err := oexec.Command("pgrep", "-P", fmt.Sprint(cmd.Process.Pid), "-f", "restic backup").Output()
		if _, scanErr := fmt.Sscan(string(out), &child); err == nil && scanErr == nil {
			return cmd, child
		}
	}
	t.Fatal("restic was not started")
	return nil, 0
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

// TestOrphan: a snapshot that a restic has made whose plugin was killed is no
// archive, and is removed with the key.
func TestOrphan(t *testing.T) {
	t.Parallel()
	f := repository(t)
	cmd := oexec.Command("restic", "backup", "--stdin", "--stdin-filename", key, "--tag", "shield-data,shield-key="+key, "--quiet")
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+f["repository"].(string), "RESTIC_PASSWORD="+password)
	cmd.Stdin = strings.NewReader("a part")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := open(t, f)
	_, err := get(t, s, key)
	wantError(t, err, shield.NotFound)
	must(t, s.Delete(t.Context(), key))
	if n := snapshots(t, f); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
}

// TestPrune: with it the room is free after a purge.
func TestPrune(t *testing.T) {
	t.Parallel()
	f := repository(t)
	s := open(t, f, fields{"prune": true})
	put(t, s, key, plugintest.Stream(4<<20, 1), 4<<20)
	if n := size(t, f["repository"].(string)); n < 4<<20 {
		t.Fatalf("the repository has %d bytes", n)
	}
	must(t, s.Delete(t.Context(), key))
	if n := size(t, f["repository"].(string)); n > 1<<20 {
		t.Errorf("the repository still has %d bytes", n)
	}
}

// TestNothingSecret: no command line has the repository, a password or a key.
func TestNothingSecret(t *testing.T) {
	t.Parallel()
	f := repository(t)
	seen := filepath.Join(t.TempDir(), "seen")
	s := open(t, f, fake(t, `echo "$@" >>`+seen+"\nexec $RESTIC \"$@\""), fields{"env": "AWS_SECRET_ACCESS_KEY=abcdefghij\n"})
	put(t, s, key, strings.NewReader("x"), 1)
	must(t, s.Delete(t.Context(), key))
	b, err := os.ReadFile(seen)
	must(t, err)
	for _, secret := range []string{password, "abcdefghij", f["repository"].(string)} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%q is in %s", secret, b)
		}
	}
}
