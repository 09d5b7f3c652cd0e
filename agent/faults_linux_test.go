package agent_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
)

// Faults of links and processes: shieldd and shield-agent, each a process, with
// TCP between them. docs/agents.md says which other tests show what else.

// TestCutAmidBackup cuts the link for a second in the middle of a backup, so that it is
// noticed at once or not at all, and mends it: the agent goes on meanwhile, and
// the backup is good. Only bytes that were going through the daemon when it was
// noticed take another attempt.
func TestCutAmidBackup(t *testing.T) {
	for _, c := range []struct {
		name     string
		store    string // its agent
		silent   bool
		attempts int
	}{
		{"reset", "a", false, 1},
		{"silent", "a", true, 1},
		{"reset while relayed", "", false, 2},
		{"silent while relayed", "", true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newField(t)
			a := f.join("a")
			f.job("a", c.store)
			_, err := f.api.Jobs().Edit(t.Context(), "j", map[string]any{"attempts": 2})
			f.check(err)
			task := f.backUp()
			f.says(task, "halfway")
			cut, mend := f.proxy.Down, f.proxy.Up
			if c.silent {
				cut, mend = f.proxy.Freeze, f.proxy.Thaw
			}
			cut()
			f.proceed() // all but the signature of the manifest needs no daemon
			time.Sleep(time.Second)
			mend()
			if got := f.end(task, shield.TaskDone, ""); got.Attempts != c.attempts {
				t.Errorf("%d attempts, want %d:\n%s", got.Attempts, c.attempts, got.Log)
			}
			f.quiet(1, a)
			f.restored()
		})
	}
}

// TestCutForEver cuts the link for longer than the daemon waits: the task is
// interrupted, and what the agent made of it meanwhile is removed when it comes
// back after all.
func TestCutForEver(t *testing.T) {
	t.Parallel()
	f := newField(t, "--agent-patience", "500ms")
	a := f.join("a")
	f.job("a", "a")
	task := f.backUp()
	f.says(task, "halfway")
	f.proxy.Down()
	f.end(task, shield.TaskFailed, shield.Interrupted)
	f.proceed()
	f.proxy.Up()
	f.connected("a")
	f.quiet(0, a)
	f.end(f.backUp(), shield.TaskDone, "")
	f.restored()
}

// TestSlowAndLossy backs up and restores through the daemon over a link that is
// slow and stops again and again for what it has lost.
func TestSlowAndLossy(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.proxy.Set(faultproxy.Rule{Fault: faultproxy.Slow(1 << 20)})
	a := f.join("a")
	f.job("a", "")
	f.proceed()
	ended, lossy := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(lossy)
		defer f.proxy.Thaw()
		for lost := range 1000 {
			turn := []func(){f.proxy.Freeze, f.proxy.Thaw}[lost%2]
			turn()
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ended:
				return
			}
		}
	}()
	f.end(f.backUp(), shield.TaskDone, "")
	f.restored()
	close(ended)
	<-lossy
	f.quiet(1, a)
}

// TestHalfAMinute has two backups halfway for half a minute. The link of the one
// is cut, in silence and for longer than a sign of life takes. That of the other
// goes through a proxy that closes what is idle, but not before the sign of life.
func TestHalfAMinute(t *testing.T) {
	t.Parallel()
	cut, idle := newField(t), newField(t)
	idle.proxy.CloseIdle(20 * time.Second)
	var agents []*beside
	var tasks []*shield.Task
	for _, f := range []*field{cut, idle} {
		agents = append(agents, f.join("a"))
		f.job("a", "a")
		tasks = append(tasks, f.backUp())
		f.says(tasks[len(tasks)-1], "halfway")
	}
	cut.proxy.Freeze()
	cut.proceed() // all but the signature of the manifest needs no daemon
	time.Sleep(30 * time.Second)
	cut.proxy.Thaw()
	idle.proceed()
	for n, f := range []*field{cut, idle} {
		f.end(tasks[n], shield.TaskDone, "")
		f.quiet(1, agents[n])
		f.restored()
	}
	if n := agents[1].logged("linked to the daemon"); n != 1 {
		t.Errorf("the agent behind the proxy was linked %d times, want once", n)
	}
}

// TestProxyClosesIdle has connections closed that are idle for less than a sign
// of life takes: the agent is connected now and then, and backups come through.
func TestProxyClosesIdle(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.proxy.CloseIdle(300 * time.Millisecond)
	a := f.join("a")
	f.job("a", "")
	f.until("the link was closed", func() bool { return a.logged("no link to the daemon") >= 1 })
	f.proceed()
	f.connected("a")
	f.until("a backup comes through", func() bool {
		task := f.backUp()
		f.until("it ends", func() bool {
			got, err := f.api.Tasks().Get(t.Context(), task.UUID)
			f.check(err)
			task = got
			return task.Status.Final()
		})
		if task.Status != shield.TaskDone && task.ErrorCode != shield.Unavailable {
			t.Errorf("%s: %s %s", task.Status, task.ErrorCode, task.Error)
		}
		return task.Status == shield.TaskDone
	})
}

// TestAgentKilledAmidRestore kills an agent in the middle of a restore: the task
// says so when it is back, and the archive can be restored again.
func TestAgentKilledAmidRestore(t *testing.T) {
	for name, store := range map[string]string{"direct": "a", "relayed": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newField(t)
			a := f.join("a")
			f.job("a", store)
			f.proceed()
			f.end(f.backUp(), shield.TaskDone, "")
			f.check(os.Remove(f.path("go")))
			task := f.restore(f.archives(1)[0])
			f.says(task, "halfway")
			a.kill()
			a.start("")
			got := f.end(task, shield.TaskFailed, shield.Interrupted)
			if !strings.Contains(got.Error, "the agent died while it ran this task") {
				t.Errorf("it says %q", got.Error)
			}
			f.quiet(1, a)
			f.restored()
		})
	}
}

// TestDaemonKilledAmidRelay kills the daemon while bytes go through it, both
// ways, and starts it again: the task was interrupted, the agent ends it, and
// nothing is left.
func TestDaemonKilledAmidRelay(t *testing.T) {
	t.Parallel()
	f := newField(t)
	a := f.join("a")
	f.job("a", "")
	kill := func(task *shield.Task) {
		f.says(task, "halfway")
		f.daemon.Restart(f.flags...)
		f.connect()
		f.connected("a")
		f.end(task, shield.TaskFailed, shield.Interrupted)
	}
	kill(f.backUp())
	f.quiet(0, a)
	f.proceed()
	f.end(f.backUp(), shield.TaskDone, "")
	f.check(os.Remove(f.path("go")))
	kill(f.restore(f.archives(1)[0]))
	f.quiet(1, a)
	f.restored()
}
