package agent_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/server"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// slowPlugin backs up a file and restores it, halfway until another file is
// there.
const slowPlugin = `#!/bin/sh
of() { echo "$SHIELD_ENDPOINT" | sed "s/.*\"$1\": *\"//; s/\".*//"; }
hold() { until [ -e "$(of go)" ]; do sleep 0.05; done; }
case "$1" in
info) echo '{"name":"slow","version":"1","features":{"target":"yes","store":"no"},"endpoint":"env","fields":[
	{"mode":"target","name":"file","type":"abspath","required":true},{"mode":"target","name":"go","type":"abspath","required":true},
	{"mode":"target","name":"password","type":"password"}]}' ;;
backup) head -c 500000 "$(of file)"; echo halfway >&2; hold; tail -c +500001 "$(of file)" ;;
restore) dd bs=1000 count=100 iflag=fullblock status=none >"$(of file)"; echo halfway >&2; hold; cat >>"$(of file)" ;;
esac
`

// password is that of a target.
const password = "swordfish of the target"

// A field is a daemon and agents, each a process, with a proxy between them.
type field struct {
	t      *testing.T
	daemon *shieldtest.System
	flags  []string
	agents string // where agents dial the daemon
	proxy  *faultproxy.TCP
	api    *server.Client
	data   []byte
}

func newField(t *testing.T, flags ...string) *field {
	t.Helper()
	shieldtest.Agent(t)
	f := &field{t: t, data: make([]byte, 1_000_000)}
	_, _ = rand.Read(f.data)
	plugins := t.TempDir()
	f.check(os.WriteFile(filepath.Join(plugins, "slow"), []byte(slowPlugin), 0o700))
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that the daemon has again after a restart
	f.check(err)
	f.agents = l.Addr().String()
	f.check(l.Close())
	f.flags = append([]string{"--agent-listen", f.agents, "--plugin-dir", plugins, "--attempts", "1", "--backoff", "50ms"}, flags...)
	f.daemon = shieldtest.Start(t, f.flags...)
	f.connect()
	f.proxy = faultproxy.StartTCP(t, f.agents)
	f.check(os.WriteFile(f.path("file"), f.data, 0o600))
	f.check(os.Mkdir(f.path("st"), 0o700))
	return f
}

// connect makes a client of the daemon, whose address is another after each
// start.
func (f *field) connect() {
	f.t.Helper()
	token, err := os.ReadFile(filepath.Join(f.daemon.Data(), "admin-token"))
	f.check(err)
	f.api, err = server.NewClient(f.daemon.URL(), shield.Secret(bytes.TrimSpace(token)))
	f.check(err)
}

func (f *field) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *field) path(name string) string { return filepath.Join(f.daemon.Dir, name) }

func (f *field) until(what string, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	f.t.Fatalf("not within two minutes: %s", what)
}

// A beside is an agent in a process.
type beside struct {
	f     *field
	name  string
	state string
	flags []string // further ones
	cmd   *exec.Cmd
	log   string // file
	token string
}

// join starts an agent with a new token and waits until it is connected.
func (f *field) join(name string, flags ...string) *beside {
	f.t.Helper()
	b := &beside{f: f, name: name, state: f.path("agent-" + name), flags: flags, log: f.path(name + ".log")}
	b.token = strings.TrimSpace(f.daemon.Run("create", "agent-token", "--name", name))
	b.start(b.token)
	f.connected(name)
	return b
}

func (f *field) connected(name string) {
	f.t.Helper()
	f.until(name+" is connected", func() bool {
		a, err := f.api.Agents().Get(f.t.Context(), name)
		return err == nil && a.Connected
	})
}

// start starts the agent; its log goes on.
func (b *beside) start(token string) {
	b.f.t.Helper()
	out, err := os.OpenFile(b.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	b.f.check(err)
	defer out.Close()
	plugins := b.f.flags[3]
	args := append([]string{"--core", "https://" + b.f.proxy.Addr(), "--name", b.name, "--state", b.state, "--plugin-dir", plugins}, b.flags...)
	b.cmd = exec.Command(filepath.Join(shieldtest.Agent(b.f.t), "shield-agent"), args...)
	b.cmd.Env = append(os.Environ(), "SHIELD_AGENT_TOKEN="+token, "NO_PROXY=*")
	b.cmd.Stdout, b.cmd.Stderr = out, out
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	b.f.check(b.cmd.Start())
	b.f.t.Cleanup(b.kill)
}

// kill ends the agent as kill -9 does.
func (b *beside) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// logged counts the lines of the agent's log that match.
func (b *beside) logged(pattern string) int {
	text, err := os.ReadFile(b.log)
	b.f.check(err)
	return len(regexp.MustCompile(pattern).FindAll(text, -1))
}

// records are the tasks that the agent keeps on its disk.
func (b *beside) records() int {
	entries, err := os.ReadDir(filepath.Join(b.state, "tasks"))
	b.f.check(err)
	return len(entries)
}

// job makes a job of a file on an agent into a folder, on the same agent or on
// the daemon.
func (f *field) job(agent, store string) {
	f.t.Helper()
	f.daemon.Run("create", "target", "--name", "t", "--plugin", "slow", "--agent", agent,
		"--endpoint", fmt.Sprintf(`{"file":%q,"go":%q,"password":%q}`, f.path("file"), f.path("go"), password))
	f.daemon.Run("create", "store", "--name", "s", "--plugin", "fs", "--agent", store, "--endpoint", fmt.Sprintf(`{"base_dir":%q}`, f.path("st")))
	f.daemon.Job("j", "t", "s")
}

// proceed lets what is halfway go on.
func (f *field) proceed() { f.check(os.WriteFile(f.path("go"), nil, 0o600)) }

func (f *field) backUp() *shield.Task {
	f.t.Helper()
	t, err := f.api.RunJob(f.t.Context(), "j")
	f.check(err)
	return t
}

func (f *field) restore(a *shield.Archive) *shield.Task {
	f.t.Helper()
	t, err := f.api.Restore(f.t.Context(), a.UUID, server.RestoreRequest{Confirm: "t"})
	f.check(err)
	return t
}

// says waits until the log of a task has a text.
func (f *field) says(t *shield.Task, text string) {
	f.t.Helper()
	f.until(text, func() bool {
		a, err := f.api.Follow(f.t.Context(), t.UUID, 0, 0)
		f.check(err)
		if found := strings.Contains(strings.Join(a.Lines, "\n"), text); found || !a.Task.Status.Final() {
			return found
		}
		f.t.Fatalf("the task ended without %q: %s, %s", text, a.Task.Status, a.Task.Error)
		return false
	})
}

// end waits for the end of a task, which is to be this.
func (f *field) end(t *shield.Task, status shield.TaskStatus, code shield.Code) *shield.Task {
	f.t.Helper()
	f.until("the task ends", func() bool {
		got, err := f.api.Tasks().Get(f.t.Context(), t.UUID)
		f.check(err)
		t = got
		return t.Status.Final()
	})
	if t.Status != status || t.ErrorCode != code {
		f.t.Errorf("the %s is %s, %s: %s, want %s, %s\n%s", t.Op, t.Status, t.ErrorCode, t.Error, status, code, t.Log)
	}
	return t
}

// archives returns all valid archives, of which there are to be so many.
func (f *field) archives(want int) []*shield.Archive {
	f.t.Helper()
	all, err := f.api.Archives().List(f.t.Context(), map[string][]string{"status": {"valid"}})
	f.check(err)
	if len(all) != want {
		f.t.Fatalf("%d archives, want %d", len(all), want)
	}
	return all
}

// restored empties the file, restores the one archive, and compares.
func (f *field) restored() {
	f.t.Helper()
	f.proceed()
	f.check(os.Truncate(f.path("file"), 0))
	f.end(f.restore(f.archives(1)[0]), shield.TaskDone, "")
	if got, err := os.ReadFile(f.path("file")); err != nil || !bytes.Equal(got, f.data) {
		f.t.Errorf("%d bytes were restored that are not those saved: %v", len(got), err)
	}
}

// quiet waits until nothing is left to do, and nothing in the store that is of
// no archive: blob and manifest of so many.
func (f *field) quiet(archives int, agents ...*beside) {
	f.t.Helper()
	f.until("all is done", func() bool {
		open, err := f.api.Tasks().List(f.t.Context(), map[string][]string{"status": {"pending", "running"}})
		f.check(err)
		kept, files := 0, 0
		for _, b := range agents {
			kept += b.records()
		}
		f.check(filepath.WalkDir(f.path("st"), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return nil // it may be removed just now
		}))
		return len(open) == 0 && kept == 0 && files == 2*archives
	})
	f.archives(archives)
}
