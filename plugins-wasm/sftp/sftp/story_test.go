//go:build linux

package sftp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/plugin"
	shieldexec "github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// TestStory backs up a tree into a server and brings it back, checks the store
// and deletes the archive, with the daemon and the command line as an operator
// has them.
func TestStory(t *testing.T) {
	t.Parallel()
	server := testserver.StartSSHD(t)
	s := shieldtest.Start(t)
	from, to := filepath.Join(s.Dir, "from"), filepath.Join(s.Dir, "to")
	must(t, os.MkdirAll(filepath.Join(from, "sub"), 0o755))
	must(t, os.WriteFile(filepath.Join(from, "sub", "large"), noise(size), 0o600), os.WriteFile(filepath.Join(from, "small"), []byte("small"), 0o600))
	if out := s.Run("plugin", "list"); !strings.Contains(strings.Join(strings.Fields(out), " "), "sftp 1.0.0 no yes executable, not sandboxed a folder of an SFTP server") {
		t.Errorf("the list of plugins is\n%s", out)
	}
	folder := func(dir string) string {
		b, err := json.Marshal(map[string]string{"base_dir": dir})
		must(t, err)
		return string(b)
	}
	s.Target("t", "fs", folder(from))
	s.Target("u", "fs", folder(to))
	s.Store("s", "sftp", string(endpoint(t, server, server.Addr, fields{"prefix": "shield"})))
	s.Job("j", "t", "s")
	if out := s.Run("show", "store", "s"); strings.Contains(out, "PRIVATE KEY") {
		t.Errorf("the private key is shown:\n%s", out)
	}
	s.Run("test", "store", "s", "--wait")
	a := s.Backup("j")
	s.Restore(a.UUID, "u")
	differences, err := treecmp.Compare(from, to)
	if err != nil || len(differences) > 0 {
		t.Errorf("the trees differ: %q, %v", differences, err)
	}
	s.Run("store", "check", "s")
	s.Run("delete", "archive", a.UUID, "--wait")
	nothing(t, server.Left)

	// A server that is another now gets nothing.
	stranger := testserver.StartSSHD(t)
	s.Store("x", "sftp", string(endpoint(t, stranger, stranger.Addr, fields{"host_key": server.HostKey})))
	s.Job("k", "t", "x")
	if out, text, status := s.Try("run", "job", "k", "--wait"); status != 7 || !strings.Contains(out+text, "host key mismatch") {
		t.Errorf("exit status %d: %s%s", status, out, text)
	}
	nothing(t, stranger.Left)
	if strings.Contains(s.Log(), "PRIVATE KEY") {
		t.Error("the private key is in the log")
	}
}

// carried opens the plugin as the programs do: as a process a call.
func carried(t *testing.T) plugin.Opener {
	t.Helper()
	o, err := shieldexec.Open(filepath.Join(shieldtest.Programs(t), "shieldd"), &shieldexec.Options{Name: "sftp", Args: []string{"plugin-native", "sftp"}})
	must(t, err)
	return o
}

func TestConformanceAsProcess(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	plugintest.Run(t, carried(t), plugintest.Config{StoreEndpoint: endpoint(t, s, s.Addr, fields{"prefix": "p"})})
	nothing(t, s.Left)
}

// TestKilled kills the plugin's process in the middle of a Put, as the kernel
// does when memory is scarce. What it leaves is no blob, and goes with a Delete.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	e := endpoint(t, s, s.Addr, nil)
	cmd := exec.Command(filepath.Join(shieldtest.Programs(t), "shieldd"), "plugin-native", "sftp", "store", "--name", key)
	cmd.Env = append(os.Environ(), "SHIELD_ENDPOINT="+string(e))
	in, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = in.Write(noise(size))
	must(t, err)
	halfWritten := func() bool {
		for _, name := range s.Left() {
			info, err := os.Stat(filepath.Join(s.Dir, name))
			if err == nil && strings.HasSuffix(name, ".partial") && info.Size() > 1<<20 {
				return true
			}
		}
		return false
	}
	for from := time.Now(); !halfWritten(); time.Sleep(10 * time.Millisecond) {
		if time.Since(from) > time.Minute {
			t.Fatalf("nothing is written: %q", s.Left())
		}
	}
	must(t, cmd.Process.Kill())
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		t.Errorf("it ended with %v", err)
	}
	st := open(t, e)
	if got := keys(t, st, ""); got != "" {
		t.Errorf("listed: %s", got)
	}
	_, err = st.Get(t.Context(), key)
	wantCode(t, err, shield.NotFound)
	must(t, st.Delete(t.Context(), key))
	nothing(t, s.Left)
}

// TestMemory moves 128 MiB through a process and looks at the most memory that
// it has had.
func TestMemory(t *testing.T) {
	t.Parallel()
	s := testserver.StartSSHD(t)
	e := endpoint(t, s, s.Addr, nil)
	const amount = 128 << 20
	run := func(in io.Reader, out io.Writer, args ...string) int64 {
		cmd := exec.Command(filepath.Join(shieldtest.Programs(t), "shieldd"), append([]string{"plugin-native", "sftp"}, args...)...)
		cmd.Env = append(os.Environ(), "SHIELD_ENDPOINT="+string(e))
		cmd.Stdin, cmd.Stdout = in, out
		var text bytes.Buffer
		cmd.Stderr = &text
		must(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for most := int64(0); ; {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("%q: %v: %s", args, err, &text)
				}
				return most
			case <-time.After(5 * time.Millisecond):
				most = max(most, mostMemory(cmd.Process.Pid))
			}
		}
	}
	store := run(plugintest.Stream(amount, 7), io.Discard, "store", "--name", key)
	var got counter
	retrieve := run(nil, &got, "retrieve", "--key", key)
	if got != amount {
		t.Errorf("%d bytes came back of %d", got, amount)
	}
	t.Logf("memory: %d MiB for store, %d MiB for retrieve", store>>20, retrieve>>20)
	for what, most := range map[string]int64{"store": store, "retrieve": retrieve} {
		if most == 0 || most > 64<<20 {
			t.Errorf("%s took %d MiB, more than 64 MiB", what, most>>20)
		}
	}
	run(nil, io.Discard, "purge", "--key", key)
	nothing(t, s.Left)
}

// mostMemory is the most memory, in bytes, that a process has had so far.
func mostMemory(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // none if it has just ended
	var kilobytes int64
	if _, line, ok := strings.Cut(string(text), "VmHWM:"); ok {
		_, _ = fmt.Sscan(line, &kilobytes)
	}
	return kilobytes << 10
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
