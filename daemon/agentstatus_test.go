package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
)

// TestAgentStatus has agents asked what they are: by the daemon's own schedule,
// and by somebody.
func TestAgentStatus(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.AgentStatus = 200 * time.Millisecond })
	f.join("a")
	asked := func() []*shield.Task {
		all, err := f.api.Tasks().List(t.Context(), map[string][]string{"op": {"agent-status"}, "status": {"done"}})
		f.check(err)
		return all
	}
	f.eventually("the agent was asked twice", func() bool { return len(asked()) >= 2 })
	got, err := f.api.Tasks().Get(t.Context(), asked()[0].UUID)
	f.check(err)
	if got.Owner != "system" || got.Agent != "a" || got.Findings == nil || got.Findings.Counts["plugins"] != 2 || got.Findings.Versions["memory"] == "" {
		t.Errorf("%+v found %+v", got, got.Findings)
	}
	if !strings.Contains(got.Log, "agent a answered in") || !strings.Contains(got.Log, "its clock is ahead by") {
		t.Errorf("the log says:\n%s", got.Log)
	}
}

// TestAgentStatusOnDemand asks agents that are there, away and unknown.
func TestAgentStatusOnDemand(t *testing.T) {
	t.Parallel()
	f := newFarm(t, nil)
	s := f.join("a")
	task, err := f.api.TestAgent(t.Context(), "a")
	f.check(err)
	if task = f.wait(task); task.Status != shield.TaskDone {
		t.Errorf("%s: %s %s", task.Status, task.ErrorCode, task.Error)
	}
	s.stop()
	task, err = f.api.TestAgent(t.Context(), "a")
	f.check(err)
	if task = f.wait(task); task.ErrorCode != shield.Unavailable || !strings.Contains(task.Error, "agent a, which is not connected: it was last seen at 20") {
		t.Errorf("one that is away: %s %s %s", task.Status, task.ErrorCode, task.Error)
	}
	if _, err := f.api.TestAgent(t.Context(), "nobody"); !errors.Is(err, shield.NotFound) {
		t.Errorf("one that there is not: %v, want NotFound", err)
	}
}
