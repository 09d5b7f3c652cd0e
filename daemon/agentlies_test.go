package daemon_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
)

// TestAgentLiesOfFailure has an agent say what it likes of tasks that failed:
// what is of others stays, and what is without end is cut.
func TestAgentLiesOfFailure(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts = 1 })
	s := f.join("a")
	s.memory.GenerateTarget("db", 1<<20, 1)
	f.set("relayed", at("a", "memory", "db"), into("", "vault"))
	f.set("direct", at("a", "memory", "db"), into("a", "vault"))
	purges := func() int {
		all, err := f.api.Tasks().List(t.Context(), map[string][]string{"op": {"purge"}})
		f.check(err)
		return len(all)
	}
	failed := shield.Errorf(shield.TargetFailed, "", "broke")

	f.memory.SetBlob("vault", "other", []byte("of somebody else"))
	s.lies(func(_ shield.Monitor, r *shield.TaskResult) {
		r.Leftovers = []string{"other", r.Archive.Key}
		r.Archive = nil
	}, failed)
	if task := f.run("relayed"); task.ErrorCode != shield.TargetFailed {
		t.Errorf("%s %s", task.ErrorCode, task.Error)
	}
	f.eventually("what is its own is purged", func() bool { return len(f.memory.Keys("vault")) == 1 })
	if _, there := f.memory.Blob("vault", "other"); !there || purges() != 1 {
		t.Errorf("%d purges; the blob of another is there: %v", purges(), there)
	}

	s.lies(func(_ shield.Monitor, r *shield.TaskResult) {
		r.Archive = nil
		for n := range 10_000 {
			r.Leftovers = append(r.Leftovers, strconv.Itoa(n))
		}
	}, failed)
	f.run("direct")
	if n := purges(); n > 10 {
		t.Errorf("%d purges of one task", n)
	}

	s.lies(func(_ shield.Monitor, r *shield.TaskResult) { r.Archive = nil }, &shield.Error{Code: "melted", Message: strings.Repeat("x", 1<<20)})
	if task := f.run("direct"); task.ErrorCode != shield.Internal || len(task.Error) > 20_000 {
		t.Errorf("%s with %d bytes", task.ErrorCode, len(task.Error))
	}

	s.lies(func(_ shield.Monitor, r *shield.TaskResult) {
		r.Findings = &shield.Findings{Versions: map[string]string{"x": strings.Repeat("x", 2<<20)}}
	}, nil)
	if task := f.run("direct"); task.Status != shield.TaskFailed || !strings.Contains(task.Error, "cannot be true") {
		t.Errorf("%s %s", task.Status, task.Error)
	}
}

// TestAgentLiesOfOthersTasks has an agent say that it has left something of a
// task that another one ran.
func TestAgentLiesOfOthersTasks(t *testing.T) {
	t.Parallel()
	f := newFarm(t, func(c *daemon.Config) { c.Attempts = 1 })
	honest, liar := f.join("honest"), f.join("liar")
	f.set("db", at("honest", "memory", "db"), into("", "vault"))
	honest.lies(func(_ shield.Monitor, r *shield.TaskResult) { r.Archive = nil }, shield.Errorf(shield.TargetFailed, "", "broke"))
	task := f.run("db")
	f.memory.SetBlob("vault", "other", []byte("of somebody else"))

	liar.stop()
	record, err := json.Marshal(map[string]any{
		"uuid": task.UUID, "epoch": 99, "op": "backup", "started_at": time.Now(), "ended": true,
		"result": map[string]any{"result": shield.TaskResult{Leftovers: []string{"other"}}, "error": map[string]any{"code": "target_failed", "message": "x"}},
	})
	f.check(err)
	f.check(os.WriteFile(filepath.Join(liar.opts.Dir, "tasks", task.UUID+"-99.json"), record, 0o600))
	liar.start()
	f.eventually("it was told to forget", func() bool { return len(liar.records()) == 0 })
	f.eventually("nothing is left to do", func() bool {
		open, err := f.api.Tasks().List(t.Context(), map[string][]string{"status": {"pending", "running"}})
		f.check(err)
		return len(open) == 0
	})
	if _, there := f.memory.Blob("vault", "other"); !there {
		t.Error("the blob of another was removed")
	}
}
