package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// hang makes the target of a job hang after 5 bytes and runs the job until
// it does.
func hang(f *fixture, job string) *shield.Task {
	f.t.Helper()
	f.faulty.Set(plugintest.TargetHangsAfter, 5)
	t, err := f.client.RunJob(f.t.Context(), job)
	f.must(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		a, err := f.client.Follow(f.t.Context(), t.UUID, 0, 0)
		f.must(err)
		if a.Task.Status == shield.TaskRunning && len(a.Lines) > 0 {
			return a.Task
		}
	}
	f.t.Fatal("the task does not start")
	return nil
}

func TestFollow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	task := hang(f, "a")
	ctx := t.Context()

	first, err := f.client.Follow(ctx, task.UUID, 0, 0)
	f.must(err)
	if len(first.Lines) == 0 || first.Next != len(first.Lines) || first.Task.Log != "" {
		t.Errorf("first = %+v", first)
	}
	if shown, err := f.client.Tasks().Get(ctx, task.UUID); err != nil || !strings.Contains(shown.Log, first.Lines[0]) {
		t.Errorf("a running task is shown without its log: %q, %v", shown.Log, err)
	}
	// Nothing new: the answer waits, and then says so.
	from := time.Now()
	none, err := f.client.Follow(ctx, task.UUID, first.Next, time.Second)
	f.must(err)
	if took := time.Since(from); len(none.Lines) == 0 && none.Next == first.Next && took < 900*time.Millisecond && none.Task.Progress == first.Task.Progress {
		t.Errorf("an answer without news came after %s", took)
	}
	// News: the answer comes at once.
	go func() {
		time.Sleep(300 * time.Millisecond)
		_, _ = f.client.CancelTask(ctx, task.UUID)
	}()
	from = time.Now()
	end := f.wait(task, nil)
	if took := time.Since(from); end.Status != shield.TaskCanceled || took > 10*time.Second {
		t.Errorf("%s after %s", end.Status, took)
	}
	last, err := f.client.Follow(ctx, task.UUID, 0, 30*time.Second)
	f.must(err)
	if !last.Task.Status.Final() || last.Next < first.Next || last.Lines[0] != first.Lines[0] {
		t.Errorf("last = %+v", last)
	}
	behind, err := f.client.Follow(ctx, task.UUID, 1_000_000, 30*time.Second)
	f.must(err)
	if len(behind.Lines) > 0 || behind.Next != last.Next {
		t.Errorf("behind the end: %+v", behind)
	}
	_, err = f.client.CancelTask(ctx, task.UUID)
	want(t, err, shield.Conflict, "status", "is canceled")
	if len(f.memory.Keys("a")) > 0 {
		t.Errorf("a canceled backup left %q", f.memory.Keys("a"))
	}
}

func TestWaitSeesEachLineOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.faulty.Set(plugintest.TargetFailsAtEnd, 0)
	task, err := f.client.RunJob(t.Context(), "a")
	f.must(err)
	var lines []string
	end, err := f.client.Wait(t.Context(), task.UUID, func(a *server.FollowAnswer) { lines = append(lines, a.Lines...) })
	f.must(err)
	whole, err := f.client.Tasks().Get(t.Context(), task.UUID)
	f.must(err)
	if got := strings.Join(lines, "\n"); got != whole.Log || end.Status != shield.TaskFailed || end.ErrorCode != shield.TargetFailed {
		t.Errorf("%s, seen:\n%s\nkept:\n%s", end.Status, got, whole.Log)
	}
	s, err := f.client.Status(t.Context())
	if err != nil || s.Failures != 1 || len(s.Failed) != 1 || s.Failed[0].UUID != task.UUID {
		t.Errorf("status = %+v, %v", s, err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	task := hang(f, "a")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	from := time.Now()
	_, err := f.client.Wait(ctx, task.UUID, func(*server.FollowAnswer) {})
	want(t, err, shield.Canceled, "", "canceled")
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if now, err := f.client.Tasks().Get(t.Context(), task.UUID); err != nil || now.Status != shield.TaskRunning {
		t.Errorf("the task is %+v, %v", now, err)
	}
}
