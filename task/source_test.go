package task_test

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

// TestProbeIsRecorded: the archive, its manifest and the blob itself say what
// the target said before the dump.
func TestProbeIsRecorded(t *testing.T) {
	b := newBench(t)
	a := b.backup(t)
	versions, counts := map[string]string{"memory": "1.0.0"}, map[string]int64{"bytes": content}
	if !maps.Equal(a.Versions, versions) || !maps.Equal(a.Counts, counts) {
		t.Errorf("the archive says %v and %v", a.Versions, a.Counts)
	}
	data, _ := b.memory.Blob("vault", a.ManifestKey)
	m, err := archive.OpenManifest(data, []age.Identity{b.identity}, b.signer)
	if len(a.Recipients) != 1 || a.Recipients[0] != b.identity.Recipient().String() || !slices.Equal(m.Recipients, a.Recipients) {
		t.Errorf("the archive is sealed to %v, and to %v as its manifest says", a.Recipients, m.Recipients)
	}
	if err != nil || !maps.Equal(m.Versions, versions) || !maps.Equal(m.Counts, counts) {
		t.Errorf("the manifest says %v and %v, %v", m.Versions, m.Counts, err)
	}
	blob, _ := b.memory.Blob("vault", a.Key)
	r, err := archive.NewReader(strings.NewReader(string(blob)), &archive.ReaderOptions{Identities: []age.Identity{b.identity}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); !maps.Equal(h.Versions, versions) || !maps.Equal(h.Counts, counts) {
		t.Errorf("the header says %v and %v", h.Versions, h.Counts)
	}
	if !strings.Contains(strings.Join(b.monitor.lines, "\n"), "target db: holds 3145728 bytes; memory 1.0.0") {
		t.Errorf("the log has %q", b.monitor.lines)
	}
}

func TestProbeFails(t *testing.T) {
	for _, c := range []struct {
		fault plugintest.Fault
		code  shield.Code
		text  string
	}{
		{plugintest.ProbeFails, shield.TargetFailed, "target db (memory) failed: its probe: fault"},
		{plugintest.ProbeHangs, shield.TimedOut, "backup: target db (memory) hangs"},
	} {
		b := newBench(t, func(o *task.Options) { o.IdleTimeout = time.Second })
		b.faulty.Set(c.fault, 0)
		r, err := b.runner.Run(t.Context(), backupTask(), &b.monitor)
		if !errors.Is(err, c.code) || !strings.HasPrefix(err.Error(), c.text) || r.Archive != nil {
			t.Errorf("%s: got %v, want %s beginning with %q", c.fault, err, c.code, c.text)
		}
		if left := b.memory.Keys("vault"); len(left) > 0 {
			t.Errorf("%s: the store has %q", c.fault, left)
		}
	}
}

// TestEmptyDump: a dump of nothing is an archive only of a target that says
// that it holds nothing.
func TestEmptyDump(t *testing.T) {
	b := newBench(t)
	b.faulty.Set(plugintest.TargetDropsFrom, 0)
	r, err := b.runner.Run(t.Context(), backupTask(), &b.monitor)
	if !errors.Is(err, shield.TargetFailed) || !strings.Contains(err.Error(), "its dump is empty, though before it the target holds 3145728 bytes") || r.Archive != nil {
		t.Errorf("got %v", err)
	}
	if left := b.memory.Keys("vault"); len(left) > 0 {
		t.Errorf("the store has %q", left)
	}
	b.memory.SetTarget("db", nil)
	if a := b.backup(t); a.RawSize != 0 {
		t.Errorf("an empty target gave %d bytes", a.RawSize)
	}
}

func targetTask(op shield.Op) *shield.Task {
	t := backupTask()
	return &shield.Task{UUID: t.UUID, Op: op, Target: t.Target, TargetName: t.TargetName, TargetPlugin: t.TargetPlugin, TargetEndpoint: t.TargetEndpoint}
}

func TestTargetTasks(t *testing.T) {
	b := newBench(t)
	if _, err := b.runner.Run(t.Context(), targetTask(shield.OpTestTarget), &b.monitor); err != nil {
		t.Error(err)
	}
	r, err := b.runner.Run(t.Context(), targetTask(shield.OpProbeTarget), &b.monitor)
	if err != nil || r.Findings == nil || r.Findings.Counts["bytes"] != content || r.Findings.Versions["memory"] != "1.0.0" {
		t.Errorf("got %+v, %v", r.Findings, err)
	}
	b.faulty.Set(plugintest.ProbeFails, 0)
	if _, err := b.runner.Run(t.Context(), targetTask(shield.OpProbeTarget), &b.monitor); !errors.Is(err, shield.TargetFailed) {
		t.Errorf("got %v, want the target's failure", err)
	}
}
