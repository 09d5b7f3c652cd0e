package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/server"
)

// TestAgentPlaces backs up and restores with target and store in each place:
// bytes go the short way where there is one, and an agent gets no more than it
// needs.
func TestAgentPlaces(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	a, b := f.join("a"), f.join("b")
	content := bytes.Repeat([]byte("what is to be saved "), 50_000)
	for _, c := range []struct {
		name          string
		target, store string // agents
		relayed       bool
	}{
		{"target and store on one agent", "a", "a", false},
		{"store on the daemon", "a", "", true},
		{"store on the daemon by name", "a", shield.AgentDaemon, true},
		{"store on another agent", "a", "b", true},
		{"store alone on an agent", "", "b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &farm{system: &system{t: t, api: f.api}, memory: f.memory, daemon: f.daemon}
			places := map[string]interface {
				SetTarget(string, []byte)
				Target(string) ([]byte, bool)
				Keys(string) []string
			}{"a": a.memory, "b": b.memory, "": f.memory, shield.AgentDaemon: f.memory}
			places[c.target].SetTarget(c.name, content)
			f.set(c.name, at(c.target, "memory", c.name), into(c.store, c.name))
			task := f.run(c.name)
			if task.Status != shield.TaskDone {
				t.Fatalf("%s: %s\n%s", task.Status, task.Error, task.Log)
			}
			for place, m := range places {
				want := 0
				if m == places[c.store] {
					want = 2 // blob and manifest
				}
				if got := m.Keys(c.name); len(got) != want {
					t.Errorf("%q has %q in store, want %d", place, got, want)
				}
			}
			checkOrder(t, a, c.target == "a", c.relayed, false)
			places[c.target].SetTarget(c.name, nil)
			f.restored(task.Archive, c.name)
			if got, _ := places[c.target].Target(c.name); !bytes.Equal(got, content) {
				t.Errorf("%d bytes were restored, want %d", len(got), len(content))
			}
			checkOrder(t, a, c.target == "a", c.relayed, true)
			f.downloaded(task.Archive, content)
			f.storeTasks(c.name, task.Archive)
			if got := places[c.store].Keys(c.name); len(got) != 0 {
				t.Errorf("after a purge the store has %q", got)
			}
		})
	}
	f.eventually("agents forget", func() bool { return len(a.records())+len(b.records()) == 0 })
}

// downloaded compares what a download gives with what was saved.
func (f *farm) downloaded(archive string, want []byte) {
	f.t.Helper()
	content, err := f.api.Content(f.t.Context(), archive, true)
	if err != nil {
		f.t.Fatal(err)
	}
	defer content.Close()
	if got, err := io.ReadAll(content); err != nil || !bytes.Equal(got, want) {
		f.t.Errorf("%d bytes were downloaded, want %d: %v", len(got), len(want), err)
	}
}

// storeTasks runs what works on a store alone, the purge of an archive last.
func (f *farm) storeTasks(name, archive string) {
	f.t.Helper()
	for what, begin := range map[string]func() (*shield.Task, error){
		"test":      func() (*shield.Task, error) { return f.api.TestStore(f.t.Context(), name) },
		"reconcile": func() (*shield.Task, error) { return f.api.ReconcileStore(f.t.Context(), name, false) },
		"probe":     func() (*shield.Task, error) { return f.api.ProbeTarget(f.t.Context(), name) },
	} {
		task, err := begin()
		f.check(err)
		if task = f.wait(task); task.Status != shield.TaskDone {
			f.t.Errorf("%s: %s, %s", what, task.Status, task.Error)
		}
		if r := task.Findings; what == "reconcile" && (r == nil || r.Reconciliation == nil || len(r.Reconciliation.Differences) != 0) {
			f.t.Errorf("reconcile found %+v", r)
		}
	}
	task, err := f.api.PurgeArchive(f.t.Context(), archive)
	f.check(err)
	if task = f.wait(task); task.Status != shield.TaskDone {
		f.t.Errorf("purge: %s, %s", task.Status, task.Error)
	}
}

// checkOrder looks at what an agent was given: for a backup recipients and no
// key, for a restore the key of one archive, and the endpoint of a store only
// where it reaches that.
func checkOrder(t *testing.T, s *site, there, relayed, restore bool) {
	t.Helper()
	if !there {
		return
	}
	o := s.last()
	if (o.Relay != nil) != relayed {
		t.Errorf("relayed: %v, want %v", o.Relay != nil, relayed)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("of the store")) == relayed {
		t.Errorf("the secret of the store is in the order: %v", !relayed)
	}
	if restore && (len(o.FileKey) != 16 || len(o.Recipients) != 0) || !restore && (o.FileKey != nil || len(o.Recipients) == 0) {
		t.Errorf("restore %v: %d bytes of key, recipients %q", restore, len(o.FileKey), o.Recipients)
	}
	if bytes.Contains(text, []byte("AGE-SECRET-KEY")) {
		t.Error("an identity is in the order")
	}
}

// TestAgentLinkCut cuts the link in the middle of a backup. For as long as the
// daemon waits, the agent goes on, and its result arrives when the link is back;
// after that the task is interrupted, and what the agent made of it is removed.
func TestAgentLinkCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		patience time.Duration
		status   shield.TaskStatus
		code     shield.Code
		archives int
	}{
		{"for a while", time.Hour, shield.TaskDone, "", 1},
		{"for ever", 200 * time.Millisecond, shield.TaskFailed, shield.Interrupted, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFarm(t, func(config *daemon.Config) {
				config.AgentPatience, config.Attempts, config.Backoff = c.patience, 1, 50*time.Millisecond
			})
			s := f.join("a")
			f.set("db", at("a", "gate", "db"), into("a", "vault"))
			task, err := f.api.RunJob(t.Context(), "db")
			f.check(err)
			<-s.gate.halfway
			f.proxy.Down()
			if c.status == shield.TaskDone {
				f.running(task, func(a *server.FollowAnswer) bool {
					return slices.ContainsFunc(a.Lines, func(l string) bool { return strings.Contains(l, "waiting for agent a") })
				})
				close(s.gate.open) // what is left is done without a daemon, but for the signature
				f.proxy.Up()
			}
			if task = f.wait(task); task.Status != c.status || task.ErrorCode != c.code {
				t.Fatalf("%s: %s %s\n%s", task.Status, task.ErrorCode, task.Error, task.Log)
			}
			if c.status != shield.TaskDone {
				f.proxy.Up()
			}
			if n := strings.Count(task.Log, "backing up target"); n > 1 || n < c.archives {
				t.Errorf("the log has %d beginnings:\n%s", n, task.Log)
			}
			f.eventually("the agent forgets", func() bool { return len(s.records()) == 0 })
			f.eventually("nothing is left to do, nor in the store but archives", func() bool {
				open, err := f.api.Tasks().List(t.Context(), map[string][]string{"status": {"pending", "running"}})
				f.check(err)
				return len(open) == 0 && len(s.memory.Keys("vault")) == 2*c.archives
			})
			if got := f.archives(); len(got) != c.archives {
				t.Fatalf("archives: %+v, want %d", got, c.archives)
			}
			if c.archives > 0 {
				s.memory.SetTarget("db", nil)
				f.restored(task.Archive, "db")
			}
		})
	}
}

// TestAgentCancel checks that a cancellation reaches the plugin on the agent,
// and that nothing is left.
func TestAgentCancel(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	s := f.join("a")
	f.set("db", at("a", "gate", "db"), into("a", "vault"))
	task, err := f.api.RunJob(t.Context(), "db")
	f.check(err)
	<-s.gate.halfway
	_, err = f.api.CancelTask(t.Context(), task.UUID)
	f.check(err)
	if task = f.wait(task); task.Status != shield.TaskCanceled || !strings.Contains(task.Log, "nothing of this backup is left") {
		t.Errorf("%s: %s\n%s", task.Status, task.Error, task.Log)
	}
	if keys := s.memory.Keys("vault"); len(keys) != 0 {
		t.Errorf("the store has %q", keys)
	}
}

// TestAgentStopped stops an agent in the middle of a backup. It cleans up, and
// tells when it is started again.
func TestAgentStopped(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts = 1 })
	s := f.join("a")
	f.set("db", at("a", "gate", "db"), into("a", "vault"))
	task, err := f.api.RunJob(t.Context(), "db")
	f.check(err)
	<-s.gate.halfway
	s.stop()
	s.start()
	if task = f.wait(task); task.Status != shield.TaskFailed || task.ErrorCode != shield.Interrupted || !strings.Contains(task.Error, "agent was stopped") {
		t.Errorf("%s: %s %s", task.Status, task.ErrorCode, task.Error)
	}
	if keys := s.memory.Keys("vault"); len(keys) != 0 {
		t.Errorf("the store has %q", keys)
	}
}

// TestAgentDaemonRestarts stops the daemon while its agent runs a task, and
// starts it again on the same folder.
func TestAgentDaemonRestarts(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts = 1 })
	s := f.join("a")
	f.set("db", at("a", "gate", "db"), into("a", "vault"))
	task, err := f.api.RunJob(t.Context(), "db")
	f.check(err)
	<-s.gate.halfway
	f.config.AgentListen = f.daemon.AgentAddr()
	f.proxy.Down() // so that the daemon cannot tell its agent
	f.stop()
	f.open()
	f.proxy.Up()
	f.connected("a")
	got, err := f.api.Tasks().Get(t.Context(), task.UUID)
	f.check(err)
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.Interrupted {
		t.Errorf("%s: %s %s", got.Status, got.ErrorCode, got.Error)
	}
	f.eventually("the agent ends the task", func() bool { return len(s.records()) == 0 })
	close(s.gate.open)
	if task := f.run("db"); task.Status != shield.TaskDone {
		t.Errorf("the next one: %s, %s", task.Status, task.Error)
	}
}

// TestAgentAway checks what a task says whose agent is not there.
func TestAgentAway(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts, c.AgentUnseen = 1, 100*time.Millisecond })
	f.set("never", at("nobody", "memory", "db"), into("", "vault"))
	if task := f.run("never"); task.ErrorCode != shield.Unavailable || !strings.Contains(task.Error, `no agent "nobody"`) {
		t.Errorf("an agent that is not known: %s %s", task.ErrorCode, task.Error)
	}
	s := f.join("a")
	s.stop()
	f.set("db", at("a", "memory", "db"), into("", "vault"))
	away := func() int { // 1 or 0: it may have been so before it was linked for the first time, too
		return len(f.events(shield.EventAgentUnseen)) - len(f.events(shield.EventAgentSeen))
	}
	f.eventually("the agent is unseen", func() bool { return away() == 1 })
	if task := f.run("db"); task.ErrorCode != shield.Unavailable || !strings.Contains(task.Error, "agent a, which is not connected: it was last seen at 20") {
		t.Errorf("an agent that is away: %s %s", task.ErrorCode, task.Error)
	}
	s.start()
	f.eventually("the agent is seen", func() bool { return away() == 0 })
}

// TestAgentLies checks that a result which cannot be true makes no archive.
func TestAgentLies(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts = 1 })
	s := f.join("a")
	s.memory.GenerateTarget("db", 1<<20, 1)
	f.set("relayed", at("a", "memory", "db"), into("", "vault"))
	f.set("direct", at("a", "memory", "db"), into("a", "vault"))
	for _, c := range []struct {
		name, job string
		lie       func(shield.Monitor, *shield.TaskResult)
	}{
		{"digest", "relayed", func(_ shield.Monitor, r *shield.TaskResult) {
			r.Archive.StoredDigest = "blake3:" + strings.Repeat("0", 64)
		}},
		{"size", "relayed", func(_ shield.Monitor, r *shield.TaskResult) { r.Archive.StoredSize++ }},
		{"no archive", "direct", func(_ shield.Monitor, r *shield.TaskResult) { r.Archive = nil }},
		{"another archive", "direct", func(_ shield.Monitor, r *shield.TaskResult) { r.Archive.UUID = r.Archive.Target }},
		{"another store", "direct", func(_ shield.Monitor, r *shield.TaskResult) { r.Archive.Store = r.Archive.Target }},
		{"not encrypted", "direct", func(_ shield.Monitor, r *shield.TaskResult) { r.Archive.Encrypted = false }},
		{"kept for ever", "direct", func(_ shield.Monitor, r *shield.TaskResult) { r.Archive.ExpiresAt = time.Now().AddDate(90, 0, 0) }},
		{"taken tomorrow", "direct", func(_ shield.Monitor, r *shield.TaskResult) {
			r.Archive.TakenAt, r.Archive.ExpiresAt = r.Archive.TakenAt.AddDate(0, 0, 1), r.Archive.ExpiresAt.AddDate(0, 0, 1)
		}},
	} {
		s.lies(c.lie, nil)
		if task := f.run(c.job); task.Status != shield.TaskFailed || !strings.Contains(task.Error, "cannot be true") {
			t.Errorf("%s: %s, %s", c.name, task.Status, task.Error)
		}
	}
	if got := f.archives(); len(got) != 0 {
		t.Errorf("archives: %+v", got)
	}
	f.eventually("what the lies are about is purged", func() bool { return len(f.memory.Keys("vault"))+len(s.memory.Keys("vault")) == 0 })
	s.lies(func(m shield.Monitor, _ *shield.TaskResult) {
		for range 200_000 {
			m.Log(shield.SourceTarget, strings.Repeat("x", 1000))
		}
	}, nil)
	if task := f.run("direct"); task.Status != shield.TaskDone || len(task.Log) > 2<<20 {
		t.Errorf("an endless log: %s, %s, %d bytes", task.Status, task.Error, len(task.Log))
	}
}

// TestAgentLetIn checks who may join and connect.
func TestAgentLetIn(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	ctx := t.Context()
	refused := func(what string, s *site, code shield.Code, text string) {
		t.Helper()
		s.startRefused()
		select {
		case err := <-s.ended:
			if !errors.Is(err, code) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %s with %q", what, err, code, text)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s: the agent goes on", what)
		}
	}
	token := f.token("a", "")
	s := f.site("a")
	s.opts.Token = token
	s.start()
	f.connected("a")

	replayed := f.site("replayed")
	replayed.opts.Name, replayed.opts.Token = "a", token
	refused("a token that was used", replayed, shield.Unauthorized, "used already")

	misnamed := f.site("misnamed")
	misnamed.opts.Token = f.token("other", "")
	refused("a token for another name", misnamed, shield.Unauthorized, "not for an agent called")

	stranger := f.site("stranger")
	stranger.opts.Token = newFarm(t, nil).token("stranger", "")
	refused("a token of another daemon", stranger, shield.Unauthorized, "another authority")

	if _, err := f.api.CreateAgentToken(ctx, server.AgentTokenRequest{Name: "a"}); !errors.Is(err, shield.Conflict) {
		t.Errorf("a token for a name that is taken: %v, want Conflict", err)
	}
	if events := f.events(shield.EventAgentRefused); len(events) == 0 {
		t.Error("no event tells that an agent was refused")
	}

	// Revoked: the link ends at once, and there is no other.
	f.check(f.api.Agents().Delete(ctx, "a"))
	f.set("db", at("a", "memory", "db"), into("", "vault"))
	if task := f.run("db"); task.ErrorCode != shield.Unavailable {
		t.Errorf("a task of an agent that was deleted: %s %s", task.ErrorCode, task.Error)
	}
	s.stop()
	s.opts.Token = f.token("a", "") // and lets the same folder in again
	s.start()
	f.connected("a")
}

// startRefused starts an agent that is not expected to go on.
func (s *site) startRefused() {
	s.f.t.Helper()
	s.launch(func(error) {})
}
