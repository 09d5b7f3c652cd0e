package task_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// wantsRaw is a plugin whose store wants raw streams.
type wantsRaw struct{ plugin.Opener }

func (w wantsRaw) Info(ctx context.Context) (plugin.Info, error) {
	i, err := w.Opener.Info(ctx)
	i.Streams = plugin.StreamsRaw
	return i, err
}

// newRawBench is newBench with a store that wants raw streams.
func newRawBench(t *testing.T) *bench {
	b := newBench(t)
	plugins := plugin.NewRegistry()
	if err := plugins.Register("memory", wantsRaw{b.faulty}); err != nil {
		t.Fatal(err)
	}
	b.runner = b.runnerOver(plugins)
	return b
}

func inTheClear(t *shield.Task) { t.Unencrypted = true }

// TestRawStreams: a store gets the raw streams that it wants from a job that
// leaves it the choice and does not encrypt, and from no other.
func TestRawStreams(t *testing.T) {
	for _, c := range []struct {
		name        string
		bench       func(*testing.T) *bench
		change      func(*shield.Task)
		compression string
		log         string
	}{
		{"wanted", newRawBench, inTheClear, "raw", ""},
		{"encrypted", newRawBench, func(*shield.Task) {}, "fastest", "since they are encrypted"},
		{"compressed", newRawBench, func(t *shield.Task) { t.Unencrypted, t.Compression = true, "better" }, "better", "since it has the compression better"},
		{"framed", newRawBench, func(t *shield.Task) { t.Unencrypted, t.Compression = true, "none" }, "none", "since it has the compression none"},
		{"by the job", func(t *testing.T) *bench { return newBench(t) }, func(t *shield.Task) { t.Unencrypted, t.Compression = true, "raw" }, "raw", ""},
		{"not wanted", func(t *testing.T) *bench { return newBench(t) }, inTheClear, "fastest", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.bench(t)
			a := b.backup(t, c.change)
			if a.Compression != c.compression {
				t.Errorf("the compression is %q, want %q", a.Compression, c.compression)
			}
			blob, _ := b.memory.Blob("vault", a.Key)
			want, _ := b.memory.Target("db")
			if bytes.Equal(blob, want) != (c.compression == "raw") {
				t.Error("only a raw archive is the content itself")
			}
			if raw := a.StoredSize == a.RawSize && a.StoredDigest == a.RawDigest && a.Frames == 0; raw != (c.compression == "raw") {
				t.Errorf("sizes and digests: %+v", a)
			}
			if c.log != "" && !slices.ContainsFunc(b.monitor.lines, func(l string) bool { return strings.Contains(l, c.log) }) {
				t.Errorf("no %q in the log %q", c.log, b.monitor.lines)
			}
			b.checkManifest(t, a)
			if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); err != nil {
				t.Fatal(err)
			}
			if got, _ := b.memory.Target("copy"); !bytes.Equal(got, want) {
				t.Error("restored something else")
			}
		})
	}
}

func TestRawStreamsRefuseEncryption(t *testing.T) {
	b := newRawBench(t)
	task := backupTask()
	task.Compression = "raw"
	if _, err := b.runner.Run(t.Context(), task, &b.monitor); !errors.Is(err, shield.Invalid) {
		t.Errorf("got %v, want invalid", err)
	}
	if keys := b.memory.Keys("vault"); len(keys) > 0 {
		t.Errorf("stored %q", keys)
	}
}

// TestRawFaults: what fails leaves nothing, as with sealed archives.
func TestRawFaults(t *testing.T) {
	for _, fault := range []plugintest.Fault{plugintest.TargetFailsAfter, plugintest.TargetFailsAtEnd, plugintest.TargetPanics, plugintest.PutFailsAfter} {
		b := newRawBench(t)
		b.faulty.Set(fault, 1<<20)
		task := backupTask()
		inTheClear(task)
		if _, err := b.runner.Run(t.Context(), task, &b.monitor); err == nil {
			t.Errorf("%v: no error", fault)
		}
		if keys := b.memory.Keys("vault"); len(keys) > 0 {
			t.Errorf("%v: stored %q", fault, keys)
		}
	}
}

// TestRawDamage: the target never sees the end of a raw archive that is not
// what was stored.
func TestRawDamage(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"bit":     func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
		"nothing": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newRawBench(t)
			a := b.backup(t, inTheClear)
			blob, _ := b.memory.Blob("vault", a.Key)
			b.memory.SetBlob("vault", a.Key, damage(bytes.Clone(blob)))
			if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); !errors.Is(err, shield.Corrupt) {
				t.Errorf("got %v, want corrupt", err)
			}
			if _, there := b.memory.Target("copy"); there {
				t.Error("it was restored")
			}
			b.faulty.Set(plugintest.RestoreIgnoresErrors, 0)
			if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); !errors.Is(err, shield.Corrupt) {
				t.Errorf("a careless target: got %v, want corrupt", err)
			}
		})
	}
}
