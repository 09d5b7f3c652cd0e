package daemon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/server"
)

// TestAgentDeletedAmidTask deletes an agent that is at work: its task ends at
// once, on both ends and for that reason, and nothing that it has moved is
// left.
func TestAgentDeletedAmidTask(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.AgentPatience = time.Hour }) // nothing ends by itself
	for _, c := range []struct {
		name          string
		target, store string // agents
		delete        string
	}{
		{"relayed", "a", "", "a"},
		{"direct", "b", "b", "b"},
		{"relayed to the one deleted", "c", "d", "d"},
		{"from the daemon to the one deleted", "", "e", "e"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &farm{system: &system{t: t, api: f.api}, memory: f.memory, daemon: f.daemon, proxy: f.proxy, gate: f.gate}
			f.dir = t.TempDir()
			sites := map[string]*site{}
			for _, name := range []string{c.target, c.store} {
				if name != "" && sites[name] == nil {
					sites[name] = f.join(name)
				}
			}
			halfway := f.gate.halfway
			if c.target != "" {
				halfway = sites[c.target].gate.halfway
			}
			f.set(c.name, at(c.target, "gate", c.name), into(c.store, c.name))
			_, err := f.api.Jobs().Edit(t.Context(), c.name, map[string]any{"attempts": 3}) // which would be in vain
			f.check(err)
			task, err := f.api.RunJob(t.Context(), c.name)
			f.check(err)
			<-halfway
			f.running(task, func(a *server.FollowAnswer) bool { return a.Task.Progress.RawBytes > 0 })
			f.check(f.api.Agents().Delete(t.Context(), c.delete))
			want := "interrupted: agent " + c.delete + " was deleted"
			if task = f.wait(task); task.Status != shield.TaskFailed || task.ErrorCode != shield.Interrupted || !strings.Contains(task.Error, want) {
				t.Errorf("%s: %s %s, want %q\n%s", task.Status, task.ErrorCode, task.Error, want, task.Log)
			}
			if s := sites[c.target]; s != nil {
				f.eventually("the agent has ended it", func() bool { return s.running.Load() == 0 })
			}
			if c.store == "" {
				f.eventually("nothing is left", func() bool { return len(f.memory.Keys(c.name)) == 0 })
			}
		})
	}
}

// TestAgentDeletedWhileAway deletes an agent that is not connected, but at
// work. It learns of that when it comes back, and ends its task.
func TestAgentDeletedWhileAway(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.AgentPatience = time.Hour })
	s := f.join("a")
	f.set("db", at("a", "gate", "db"), into("a", "vault"))
	task, err := f.api.RunJob(t.Context(), "db")
	f.check(err)
	<-s.gate.halfway
	f.proxy.Down()
	f.check(f.api.Agents().Delete(t.Context(), "a"))
	if task = f.wait(task); task.ErrorCode != shield.Interrupted || !strings.Contains(task.Error, "agent a was deleted") {
		t.Errorf("%s: %s %s", task.Status, task.ErrorCode, task.Error)
	}
	if s.running.Load() != 1 {
		t.Fatal("the agent runs nothing: the test would prove nothing")
	}
	f.proxy.Up()
	f.eventually("the agent has ended it", func() bool { return s.running.Load() == 0 })
	if keys := s.memory.Keys("vault"); len(keys) != 0 {
		t.Errorf("the agent has left %q", keys)
	}
}
