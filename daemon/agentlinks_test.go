package daemon_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/server"
)

// TestAgentListens lets an agent join that the daemon dials, and moves all
// there is to move over that one link.
func TestAgentListens(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.AgentListen = "" })
	if _, err := f.api.CreateAgentToken(t.Context(), server.AgentTokenRequest{Name: "a"}); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("a token for an agent that could not dial: %v, want Invalid", err)
	}
	s := f.site("a")
	address := make(chan string, 1)
	s.opts.Core, s.opts.Listen = "", "127.0.0.1:0"
	s.opts.Ready = func(a string) { address <- a }
	// The address is in the token, and the token wanted to listen: take a port.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.check(err)
	s.opts.Listen = l.Addr().String()
	f.check(l.Close())
	s.opts.Token = f.token("a", s.opts.Listen)
	s.start()
	if got := <-address; got != s.opts.Listen {
		t.Errorf("it listens on %s, want %s", got, s.opts.Listen)
	}
	f.connected("a")
	s.memory.GenerateTarget("db", 3<<20, 1)
	want, _ := s.memory.Target("db")
	f.set("relayed", at("a", "memory", "db"), into("", "vault"))
	f.set("by-address", at(s.opts.Listen, "memory", "db"), into("a", "own"))
	for _, job := range []string{"relayed", "by-address"} {
		task := f.run(job)
		if task.Status != shield.TaskDone {
			t.Fatalf("%s: %s, %s\n%s", job, task.Status, task.Error, task.Log)
		}
		s.memory.SetTarget("db", nil)
		f.restored(task.Archive, job)
		if got, _ := s.memory.Target("db"); string(got) != string(want) {
			t.Errorf("%s: %d bytes were restored, want %d", job, len(got), len(want))
		}
	}
	// It has joined: the next start needs no token, and the daemon finds it.
	s.stop()
	s.opts.Token = ""
	s.start()
	<-address
	f.connected("a")
}

// TestAgentBehindProxy has an agent dial through an HTTP proxy, with bytes that
// are relayed.
func TestAgentBehindProxy(t *testing.T) {
	t.Parallel()
	var tunnels atomic.Int64
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		up, err := net.Dial("tcp", req.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = up.Close()
			return
		}
		tunnels.Add(1)
		go func() { _, _ = io.Copy(up, down); _ = up.Close() }()
		go func() { _, _ = io.Copy(down, up); _ = down.Close() }()
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = proxy.Serve(l) }()
	t.Cleanup(func() { _ = proxy.Close() })

	f := newFarm(t, nil)
	s := f.site("a")
	s.opts.Token = f.token("a", "")
	s.opts.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})
	s.start()
	f.connected("a")
	s.memory.GenerateTarget("db", 1<<20, 1)
	f.set("db", at("a", "memory", "db"), into("", "vault"))
	if task := f.run("db"); task.Status != shield.TaskDone {
		t.Errorf("%s: %s", task.Status, task.Error)
	}
	if tunnels.Load() < 2 {
		t.Errorf("%d connections went through the proxy, want that of the link and that of the bytes", tunnels.Load())
	}
}

// TestTwoAgentsOneName copies the folder of an agent: the copy is refused while
// the other lives, and told why.
func TestTwoAgentsOneName(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	first := f.join("a")
	if _, err := os.Stat(first.opts.Dir); err != nil {
		t.Fatal(err)
	}
	copied := f.site("copy")
	f.check(os.CopyFS(filepath.Join(f.dir, "copied"), os.DirFS(first.opts.Dir)))
	f.check(os.Remove(filepath.Join(f.dir, "copied", "lock")))
	copied.opts.Dir, copied.opts.Name = filepath.Join(f.dir, "copied"), "a"
	copied.start()
	f.eventually("an event tells of the second", func() bool {
		for _, e := range f.events(shield.EventAgentRefused) {
			if strings.Contains(e.Message, "another agent with the name") {
				return true
			}
		}
		return false
	})
	first.memory.GenerateTarget("db", 1<<20, 1)
	f.set("db", at("a", "memory", "db"), into("a", "vault"))
	if task := f.run("db"); task.Status != shield.TaskDone || len(first.memory.Keys("vault")) != 2 {
		t.Errorf("%s: %s; the first has %q", task.Status, task.Error, first.memory.Keys("vault"))
	}
	first.stop() // and the other takes its place
	f.connected("a")
}

// TestAgentDiskFull checks that an agent takes no task which it could not
// remember.
func TestAgentDiskFull(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts = 1 })
	s := f.join("a")
	s.memory.GenerateTarget("db", 1<<20, 1)
	f.set("db", at("a", "memory", "db"), into("a", "vault"))
	tasks := filepath.Join(s.opts.Dir, "tasks")
	f.check(os.Remove(tasks))
	f.check(os.WriteFile(tasks, nil, 0o600)) // nothing can be written below it, not even by root
	if task := f.run("db"); task.ErrorCode != shield.Unavailable || !strings.Contains(task.Error, "the agent cannot keep what it does") {
		t.Errorf("%s %s", task.ErrorCode, task.Error)
	}
	f.check(os.Remove(tasks))
	f.check(os.Mkdir(tasks, 0o700))
	if task := f.run("db"); task.Status != shield.TaskDone {
		t.Errorf("with room again: %s, %s", task.Status, task.Error)
	}

	// Full in the middle of a task: its result cannot be kept, but is told.
	f.set("slow", at("a", "gate", "slow"), into("a", "vault"))
	task, err := f.api.RunJob(t.Context(), "slow")
	f.check(err)
	<-s.gate.halfway
	f.check(os.RemoveAll(tasks))
	f.check(os.WriteFile(tasks, nil, 0o600))
	close(s.gate.open)
	if task = f.wait(task); task.Status != shield.TaskDone {
		t.Errorf("full in the middle: %s, %s", task.Status, task.Error)
	}
}

// TestAgentAtItsLimit gives two tasks to an agent that runs one at once.
func TestAgentAtItsLimit(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	s := f.site("a")
	s.opts.Token, s.opts.Limit = f.token("a", ""), 1
	s.start()
	f.connected("a")
	f.set("one", at("a", "gate", "one"), into("a", "vault"))
	f.set("two", at("a", "memory", "two"), into("a", "vault"))
	s.memory.GenerateTarget("two", 1<<20, 1)
	one, err := f.api.RunJob(t.Context(), "one")
	f.check(err)
	<-s.gate.halfway
	two, err := f.api.RunJob(t.Context(), "two")
	f.check(err)
	f.running(two, func(a *server.FollowAnswer) bool {
		return strings.Contains(strings.Join(a.Lines, "\n"), "waiting for agent a: the agent runs 1 tasks already")
	})
	close(s.gate.open)
	for _, task := range []*shield.Task{one, two} {
		if task = f.wait(task); task.Status != shield.TaskDone {
			t.Errorf("%s: %s, %s", task.JobName, task.Status, task.Error)
		}
	}
}

// TestAgentsAuthorityIsKept checks that the key of the authority is private,
// and not made anew under agents that have joined.
func TestAgentsAuthorityIsKept(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	f.join("a").stop()
	f.stop()
	path := f.path("data", "agents-ca.pem")
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v, want mode 0600", st.Mode(), err)
	}
	f.check(os.Rename(path, path+".away"))
	if _, err := daemon.Open(t.Context(), f.config); err == nil || !strings.Contains(err.Error(), "agents-ca.pem is missing") {
		t.Errorf("without it: %v", err)
	}
	f.check(os.Rename(path+".away", path))
	f.open()
}
