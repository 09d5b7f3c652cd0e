package task_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

// A bench is a runner over the plugin "memory" with faults.
type bench struct {
	memory   *plugintest.Memory
	faulty   *plugintest.Faulty
	identity *age.X25519Identity
	signer   ed25519.PublicKey
	runner   *task.Runner
	opts     *task.Options
	monitor  recorder
}

const content = 3 << 20

func newBench(t testing.TB, change ...func(*task.Options)) *bench {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{memory: plugintest.NewMemory(), identity: id, signer: public}
	b.faulty = plugintest.NewFaulty(b.memory)
	b.memory.GenerateTarget("db", content, 1)
	plugins := plugin.NewRegistry()
	if err := plugins.Register("memory", b.faulty); err != nil {
		t.Fatal(err)
	}
	opts := &task.Options{
		Recipients: []age.Recipient{id.Recipient()}, RecipientNames: []string{id.Recipient().String()},
		Identities: []age.Identity{id}, SigningKey: private, Grace: 5 * time.Second,
	}
	for _, f := range change {
		f(opts)
	}
	b.opts, b.runner = opts, task.NewRunner(plugins, opts)
	return b
}

// runnerOver returns a runner with the same keys and other plugins.
func (b *bench) runnerOver(plugins *plugin.Registry) *task.Runner {
	return task.NewRunner(plugins, b.opts)
}

func backupTask() *shield.Task {
	a := uuid.NewString()
	return &shield.Task{
		UUID: uuid.NewString(), Op: shield.OpBackup, Archive: a, Key: "2026/11/22/" + a, Retention: 3600,
		Target: uuid.NewString(), TargetName: "db", TargetPlugin: "memory", TargetEndpoint: shield.Endpoint(`{"name":"db"}`),
		Store: uuid.NewString(), StoreName: "vault", StorePlugin: "memory", StoreEndpoint: shield.Endpoint(`{"name":"vault"}`),
	}
}

func restoreTask(a *shield.Archive) *shield.Task {
	t := backupTask()
	t.Op, t.Archive, t.Key, t.ManifestKey, t.Expected = shield.OpRestore, a.UUID, a.Key, a.ManifestKey, a
	t.TargetName, t.TargetEndpoint = "copy", shield.Endpoint(`{"name":"copy"}`)
	return t
}

// recorder is a monitor that remembers.
type recorder struct {
	mu       sync.Mutex
	lines    []string
	progress shield.Progress
}

func (r *recorder) Log(s shield.Source, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(s)+": "+line)
}

func (r *recorder) Progress(p shield.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = p
}

// backup makes a good archive.
func (b *bench) backup(t testing.TB, change ...func(*shield.Task)) *shield.Archive {
	t.Helper()
	task := backupTask()
	for _, f := range change {
		f(task)
	}
	r, err := b.runner.Run(t.Context(), task, &b.monitor)
	if err != nil {
		t.Fatal(err)
	}
	return r.Archive
}

func TestBackupAndRestore(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*shield.Task)
	}{
		{"sealed", func(*shield.Task) {}},
		{"in the clear", func(t *shield.Task) { t.Unencrypted = true }},
		{"not compressed", func(t *shield.Task) { t.Compression = "none" }},
		{"better", func(t *shield.Task) { t.Compression = "better" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			a := b.backup(t, c.change)
			if a.RawSize != content || a.StoredSize == 0 || !strings.HasPrefix(a.RawDigest, "blake3:") || a.Status != shield.ArchiveValid {
				t.Errorf("got %+v", a)
			}
			if want := []string{a.Key, a.Key + ".manifest"}; !slices.Equal(b.memory.Keys("vault"), want) {
				t.Errorf("the store has %q, want %q", b.memory.Keys("vault"), want)
			}
			b.checkManifest(t, a)
			r, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor)
			if err != nil {
				t.Fatal(err)
			}
			if r.Progress.RawBytes != content || r.Progress.StoredBytes != a.StoredSize {
				t.Errorf("progress ends at %+v", r.Progress)
			}
			got, _ := b.memory.Target("copy")
			want, _ := b.memory.Target("db")
			if !bytes.Equal(got, want) {
				t.Error("what was restored differs from what was backed up")
			}
		})
	}
}

func (b *bench) checkManifest(t *testing.T, a *shield.Archive) {
	t.Helper()
	data, _ := b.memory.Blob("vault", a.ManifestKey)
	m, err := archive.OpenManifest(data, []age.Identity{b.identity}, b.signer)
	if err != nil {
		t.Fatal(err)
	}
	if m.Archive != a.UUID || m.Key != a.Key || m.RawDigest != a.RawDigest || m.SealedDigest != a.StoredDigest || !m.TakenAt.Equal(a.TakenAt) {
		t.Errorf("the manifest says %+v, the archive is %+v", m, a)
	}
}

// TestBackupFaults is the promise: an archive exists only if all agreed, the
// error names the side that failed first, and nothing is left.
func TestBackupFaults(t *testing.T) {
	for _, c := range []struct {
		fault plugintest.Fault
		n     int64
		code  shield.Code
		text  string // the error begins so
	}{
		{plugintest.TargetFailsAfter, 0, shield.TargetFailed, "target db (memory) failed"},
		{plugintest.TargetFailsAfter, 2 << 20, shield.TargetFailed, "target db (memory) failed"},
		{plugintest.TargetFailsAtEnd, 0, shield.TargetFailed, "target db (memory) failed"},
		{plugintest.TargetPanics, 1 << 20, shield.TargetFailed, "target db (memory) failed: the plugin panicked"},
		{plugintest.PutFailsAfter, 0, shield.StoreFailed, "store vault (memory) failed"},
		{plugintest.PutFailsAfter, 100_000, shield.StoreFailed, "store vault (memory) failed"},
		{plugintest.PutLeavesPartial, 100_000, shield.StoreFailed, "store vault (memory) failed"},
		{plugintest.PutFull, 100_000, shield.StoreFailed, "store vault (memory) failed"},
		{plugintest.PutAcksFewer, 1, shield.StoreFailed, "store vault (memory) failed: it acknowledged"},
		{plugintest.PutAcksDigest, 0, shield.StoreFailed, "store vault (memory) failed: it acknowledged digest"},
		{plugintest.PutAcksKey, 0, shield.StoreFailed, "store vault (memory) failed"},
		{plugintest.PutDropsFrom, 100_000, shield.StoreFailed, "store vault (memory) failed: it lists"},
		{plugintest.PutVanishes, 0, shield.StoreFailed, "store vault (memory) failed: it acknowledged"},
		{plugintest.PutPanics, 100_000, shield.StoreFailed, "store vault (memory) failed: the plugin panicked"},
		{plugintest.ListMisses, 0, shield.StoreFailed, "store vault (memory) failed: it acknowledged"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			b := newBench(t)
			b.faulty.Set(c.fault, c.n)
			r, err := b.runner.Run(t.Context(), backupTask(), &b.monitor)
			if !errors.Is(err, c.code) || !strings.HasPrefix(err.Error(), c.text) {
				t.Errorf("got %v, want %s beginning with %q", err, c.code, c.text)
			}
			if r.Archive != nil {
				t.Error("a failed backup gave an archive")
			}
			if left := b.memory.Keys("vault"); len(left) > 0 || len(r.Leftovers) > 0 {
				t.Errorf("the store has %q, leftovers are %q", left, r.Leftovers)
			}
			if b.faulty.Hits(c.fault) == 0 {
				t.Error("the fault did not happen")
			}
		})
	}
}

// TestManifestFaults lets the store fail only when the commit record comes.
func TestManifestFaults(t *testing.T) {
	for _, f := range []plugintest.Fault{plugintest.PutFailsAfter, plugintest.PutVanishes, plugintest.PutDropsFrom, plugintest.GetFlips, plugintest.GetTruncates} {
		t.Run(string(f), func(t *testing.T) {
			b := newBench(t)
			b.faulty.SetWhere(f, 10, func(key string) bool { return strings.HasSuffix(key, ".manifest") })
			r, err := b.runner.Run(t.Context(), backupTask(), &b.monitor)
			if err == nil || r.Archive != nil {
				t.Errorf("got %v and archive %v", err, r.Archive)
			}
			if left := b.memory.Keys("vault"); len(left) > 0 {
				t.Errorf("the store has %q", left)
			}
		})
	}
}

// TestTargetFailsAgainstCarelessStore has both sides wrong: a target that
// fails, and a store that takes the broken stream for a whole one. The
// target failed first, and what the store made of it is purged.
func TestTargetFailsAgainstCarelessStore(t *testing.T) {
	b := newBench(t)
	b.faulty.Set(plugintest.TargetFailsAfter, 2<<20)
	b.faulty.Set(plugintest.PutIgnoresErrors, 0)
	_, err := b.runner.Run(t.Context(), backupTask(), &b.monitor)
	if !errors.Is(err, shield.TargetFailed) {
		t.Errorf("got %v, want the target's failure", err)
	}
	if left := b.memory.Keys("vault"); len(left) > 0 {
		t.Errorf("the store has %q", left)
	}
}

func TestLeftoversAreReported(t *testing.T) {
	b := newBench(t)
	b.faulty.Set(plugintest.PutLeavesPartial, 100)
	b.faulty.Set(plugintest.DeleteFails, 0)
	job := backupTask()
	r, err := b.runner.Run(t.Context(), job, &b.monitor)
	if !errors.Is(err, shield.StoreFailed) || !strings.Contains(err.Error(), "could not be purged") {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(r.Leftovers, []string{job.Key}) {
		t.Errorf("leftovers are %q, want %q", r.Leftovers, job.Key)
	}
}

// TestErrorQuotesDiagnostics has a target that explains itself in its log.
func TestErrorQuotesDiagnostics(t *testing.T) {
	b := newBench(t)
	plugins := plugin.NewRegistry()
	grumpy := &plugin.Native{
		About: plugin.Info{Name: "grumpy", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"}},
		Target: func(_ shield.Endpoint, log plugin.Log) (plugin.Target, error) {
			log("permission denied for table customers")
			return failing{}, nil
		},
	}
	if err := errors.Join(plugins.Register("memory", b.memory), plugins.Register("grumpy", grumpy)); err != nil {
		t.Fatal(err)
	}
	_, private, _ := ed25519.GenerateKey(nil)
	runner := task.NewRunner(plugins, &task.Options{Recipients: []age.Recipient{b.identity.Recipient()}, SigningKey: private})
	job := backupTask()
	job.TargetPlugin, job.TargetEndpoint = "grumpy", shield.Endpoint(`{}`)
	_, err := runner.Run(t.Context(), job, &b.monitor)
	if err == nil || !strings.Contains(err.Error(), "exit status 1; it last said: permission denied for table customers") {
		t.Errorf("got %v", err)
	}
	if !slices.Contains(b.monitor.lines, "target: permission denied for table customers") {
		t.Errorf("the log has %q", b.monitor.lines)
	}
}

type failing struct{}

func (failing) Backup(context.Context, io.Writer) error  { return errors.New("exit status 1") }
func (failing) Restore(context.Context, io.Reader) error { return errors.New("exit status 1") }

// TestRestoreFaults: a restore that saw bad data, or did not take all of it,
// has failed.
func TestRestoreFaults(t *testing.T) {
	for _, c := range []struct {
		fault plugintest.Fault
		n     int64
		code  shield.Code
		text  string
	}{
		{plugintest.GetFlips, 10, "", "store vault (memory) failed"},
		{plugintest.GetFlips, 300_000, shield.Corrupt, "store vault (memory) failed"},
		{plugintest.GetTruncates, 0, shield.Corrupt, "store vault (memory) failed"},
		{plugintest.GetTruncates, 300_000, shield.Corrupt, "store vault (memory) failed"},
		{plugintest.GetFailsAfter, 300_000, shield.StoreFailed, "store vault (memory) failed"},
		{plugintest.GetPanics, 0, shield.StoreFailed, "store vault (memory) failed: the plugin panicked"},
		{plugintest.RestoreFailsAfter, 100, shield.TargetFailed, "target copy (memory) failed"},
		{plugintest.RestoreStopsAfter, 100, shield.TargetFailed, "target copy (memory) failed: it said that all is restored"},
		{plugintest.RestorePanics, 100, shield.TargetFailed, "target copy (memory) failed: the plugin panicked"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			b := newBench(t)
			a := b.backup(t)
			b.faulty.Set(c.fault, c.n)
			_, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor)
			if err == nil || !strings.HasPrefix(err.Error(), c.text) || (c.code != "" && !errors.Is(err, c.code)) {
				t.Errorf("got %v (%s), want %s beginning with %q", err, shield.CodeOf(err), c.code, c.text)
			}
			if b.faulty.Hits(c.fault) == 0 {
				t.Error("the fault did not happen")
			}
		})
	}
}

// TestRestoreOfDamageWithCarelessTarget: even a target that takes a broken
// stream for a whole one cannot make its restore a success.
func TestRestoreOfDamageWithCarelessTarget(t *testing.T) {
	b := newBench(t)
	a := b.backup(t)
	b.faulty.Set(plugintest.GetTruncates, 500_000)
	b.faulty.Set(plugintest.RestoreIgnoresErrors, 0)
	if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); !errors.Is(err, shield.Corrupt) {
		t.Errorf("got %v, want corrupt", err)
	}
}

func TestRestoreOfSwappedBlobs(t *testing.T) {
	for _, clear := range []bool{false, true} {
		b := newBench(t)
		change := func(t *shield.Task) { t.Unencrypted = clear }
		one, two := b.backup(t, change), b.backup(t, change)
		blob, _ := b.memory.Blob("vault", two.Key)
		b.memory.SetBlob("vault", one.Key, blob)
		one.StoredSize = int64(len(blob)) // which does not tell them apart
		want := "another seal"
		if clear {
			want = two.UUID
		}
		_, err := b.runner.Run(t.Context(), restoreTask(one), &b.monitor)
		if !errors.Is(err, shield.Corrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want corrupt with %q", err, want)
		}
		if _, there := b.memory.Target("copy"); there {
			t.Error("the wrong archive was restored")
		}
	}
}

func TestRestoreWithWrongKeyOrNothing(t *testing.T) {
	b, other := newBench(t), newBench(t)
	a := b.backup(t)
	blob, _ := b.memory.Blob("vault", a.Key)
	other.memory.SetBlob("vault", a.Key, blob)
	if _, err := other.runner.Run(t.Context(), restoreTask(a), &b.monitor); err == nil || !strings.Contains(err.Error(), "identit") {
		t.Errorf("got %v, want an error about identities", err)
	}
	b.memory.RemoveBlob("vault", a.Key)
	if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); !errors.Is(err, shield.NotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

// TestHangs: a task with a side that hangs is ended by the idle timeout or
// by its deadline, and the error names the side.
func TestHangs(t *testing.T) {
	for _, c := range []struct {
		fault   plugintest.Fault
		restore bool
		text    string
	}{
		{plugintest.TargetHangsAfter, false, "target db (memory) hangs"},
		{plugintest.PutHangsAfter, false, "store vault (memory) hangs"},
		{plugintest.GetHangsAfter, true, "store vault (memory) hangs"},
		{plugintest.RestoreHangsAfter, true, "target copy (memory) hangs"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			b := newBench(t, func(o *task.Options) { o.IdleTimeout = 1500 * time.Millisecond })
			job := backupTask()
			if c.restore {
				job = restoreTask(b.backup(t))
			}
			before := b.memory.Keys("vault")
			b.faulty.Set(c.fault, 200_000)
			_, err := b.runner.Run(t.Context(), job, &b.monitor)
			if !errors.Is(err, shield.TimedOut) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want timed out with %q", err, c.text)
			}
			if left := b.memory.Keys("vault"); !slices.Equal(left, before) {
				t.Errorf("the store has %q, had %q", left, before)
			}
		})
	}
}

func TestDeadlineAndCancel(t *testing.T) {
	b := newBench(t)
	b.faulty.Set(plugintest.TargetHangsAfter, 1<<20)
	job := backupTask()
	job.TimeoutAt = time.Now().Add(50 * time.Millisecond)
	if _, err := b.runner.Run(t.Context(), job, &b.monitor); !errors.Is(err, shield.TimedOut) || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("got %v, want timed out", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(shield.Errorf(shield.Canceled, "", "canceled by ann")) })
	if _, err := b.runner.Run(ctx, backupTask(), &b.monitor); !errors.Is(err, shield.Canceled) || !strings.Contains(err.Error(), "ann") {
		t.Errorf("got %v, want canceled by ann", err)
	}
	if left := b.memory.Keys("vault"); len(left) > 0 {
		t.Errorf("the store has %q", left)
	}
}

// TestDeafPlugin: a plugin that ignores its context is left behind after the
// grace, so that the task ends.
func TestDeafPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		plugins := plugin.NewRegistry()
		deaf := &plugin.Native{
			About:  plugin.Info{Name: "deaf", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"}},
			Target: func(shield.Endpoint, plugin.Log) (plugin.Target, error) { return stuck{release}, nil },
		}
		memory := plugintest.NewMemory()
		if err := errors.Join(plugins.Register("memory", memory), plugins.Register("deaf", deaf)); err != nil {
			t.Fatal(err)
		}
		_, private, _ := ed25519.GenerateKey(nil)
		runner := task.NewRunner(plugins, &task.Options{SigningKey: private, Grace: 10 * time.Second, IdleTimeout: time.Minute, Workers: 1})
		job := backupTask()
		job.TargetPlugin, job.TargetEndpoint, job.Unencrypted = "deaf", shield.Endpoint(`{}`), true
		began := time.Now()
		_, err := runner.Run(t.Context(), job, &recorder{})
		if !errors.Is(err, shield.TimedOut) || time.Since(began) > 2*time.Minute {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
	})
}

type stuck struct{ release chan struct{} }

func (s stuck) Backup(context.Context, io.Writer) error  { <-s.release; return nil }
func (s stuck) Restore(context.Context, io.Reader) error { <-s.release; return nil }

// plain hides a store's optional abilities and can hide what it tells.
type plain struct {
	plugin.Store
	silent bool
}

func (p plain) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	s, err := p.Store.Put(ctx, key, r)
	if p.silent {
		s = plugin.Stored{Key: s.Key, Size: -1}
	}
	return s, err
}

// TestStoresThatTellLess: what a store cannot list or count is read back.
func TestStoresThatTellLess(t *testing.T) {
	for _, silent := range []bool{false, true} {
		for _, f := range []plugintest.Fault{"", plugintest.PutVanishes, plugintest.PutDropsFrom, plugintest.GetFlips} {
			name := string(f)
			if silent {
				name += ", silent"
			}
			t.Run(name, func(t *testing.T) {
				b := newBench(t)
				plugins := plugin.NewRegistry()
				o := &plugin.Native{About: plugin.Info{Name: "plain", Version: "1", Features: plugin.Features{Target: "yes", Store: "yes"}}}
				o.Store = func(_ shield.Endpoint, log plugin.Log) (plugin.Store, error) {
					s, err := b.faulty.OpenStore(t.Context(), shield.Endpoint(`{"name":"vault"}`), log)
					return plain{s, silent}, err
				}
				if err := errors.Join(plugins.Register("memory", b.memory), plugins.Register("plain", o)); err != nil {
					t.Fatal(err)
				}
				_, private, _ := ed25519.GenerateKey(nil)
				runner := task.NewRunner(plugins, &task.Options{Recipients: []age.Recipient{b.identity.Recipient()}, SigningKey: private})
				if f != "" {
					b.faulty.Set(f, 0)
				}
				job := backupTask()
				job.StorePlugin, job.StoreEndpoint = "plain", shield.Endpoint(`{}`)
				_, err := runner.Run(t.Context(), job, &b.monitor)
				if (err == nil) != (f == "") {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

func TestPurgeAndTestStore(t *testing.T) {
	b := newBench(t)
	a := b.backup(t)
	purge := restoreTask(a)
	purge.Op = shield.OpPurge
	for range 2 { // purging what is gone is no error
		if _, err := b.runner.Run(t.Context(), purge, &b.monitor); err != nil {
			t.Fatal(err)
		}
	}
	check := backupTask()
	check.Op = shield.OpTestStore
	if _, err := b.runner.Run(t.Context(), check, &b.monitor); err != nil {
		t.Fatal(err)
	}
	if left := b.memory.Keys("vault"); len(left) > 0 {
		t.Errorf("the store has %q", left)
	}
	for _, f := range []plugintest.Fault{plugintest.PutFailsAfter, plugintest.PutVanishes, plugintest.GetFlips, plugintest.GetTruncates, plugintest.DeleteFails, plugintest.DeleteLies} {
		b.faulty.Clear()
		b.faulty.Set(f, 0)
		if _, err := b.runner.Run(t.Context(), check, &b.monitor); err == nil {
			t.Errorf("a store that %s passes its test", f)
		}
	}
	for _, f := range []plugintest.Fault{plugintest.DeleteFails, plugintest.DeleteLies} {
		b := newBench(t)
		purge := restoreTask(b.backup(t))
		purge.Op = shield.OpPurge
		b.faulty.Set(f, 0)
		if _, err := b.runner.Run(t.Context(), purge, &b.monitor); !errors.Is(err, shield.StoreFailed) {
			t.Errorf("purging from a store whose %s: %v", f, err)
		}
	}
}

func TestTasksRefused(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name   string
		change func(*shield.Task)
		code   shield.Code
		text   string
	}{
		{"unknown plugin", func(t *shield.Task) { t.TargetPlugin = "oracle" }, shield.Invalid, `"oracle" is unknown`},
		{"missing field", func(t *shield.Task) { t.TargetEndpoint = shield.Endpoint(`{}`) }, shield.Invalid, "endpoint.name: is missing"},
		{"unknown field", func(t *shield.Task) { t.StoreEndpoint = shield.Endpoint(`{"name":"x","nmae":"y"}`) }, shield.Invalid, "endpoint.nmae"},
		{"malformed endpoint", func(t *shield.Task) { t.StoreEndpoint = shield.Endpoint(`{"name":`) }, shield.Invalid, "endpoint"},
		{"no retention", func(t *shield.Task) { t.Retention = 0 }, shield.Invalid, "retention"},
		{"unknown level", func(t *shield.Task) { t.Compression = "best" }, shield.Invalid, "best"},
		{"another host", func(t *shield.Task) { t.Agent = "db7" }, shield.Unavailable, "db7"},
		{"nothing to back up", func(t *shield.Task) { t.TargetEndpoint = shield.Endpoint(`{"name":"gone"}`) }, shield.TargetFailed, "gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := backupTask()
			c.change(job)
			_, err := b.runner.Run(t.Context(), job, &b.monitor)
			if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v (%s), want %s with %q", err, shield.CodeOf(err), c.code, c.text)
			}
			if left := b.memory.Keys("vault"); len(left) > 0 {
				t.Errorf("the store has %q", left)
			}
		})
	}
}

// TestRestoreOfForgedBlob: who knows the recipient can seal other content
// under the same UUID. It is refused before the target sees a byte of it.
func TestRestoreOfForgedBlob(t *testing.T) {
	b := newBench(t)
	a := b.backup(t)
	forger := newBench(t, func(o *task.Options) { o.Recipients = []age.Recipient{b.identity.Recipient()} })
	forger.memory.GenerateTarget("db", content, 2)
	forged := forger.backup(t, func(t *shield.Task) { t.Archive, t.Key = a.UUID, a.Key })
	blob, _ := forger.memory.Blob("vault", forged.Key)
	b.memory.SetBlob("vault", a.Key, blob)
	b.faulty.Set(plugintest.RestoreIgnoresErrors, 0)
	if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); !errors.Is(err, shield.Corrupt) {
		t.Errorf("got %v, want corrupt", err)
	}
	if _, there := b.memory.Target("copy"); there {
		t.Error("the target was given forged data")
	}
}
