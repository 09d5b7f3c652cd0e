package task_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

func reconcileTask(held ...*shield.Archive) *shield.Task {
	t := purgeTask(&shield.Archive{UUID: "x", Key: "x"})
	t.Op, t.Archive, t.Key, t.ManifestKey = shield.OpReconcile, "", "", ""
	t.Inventory = &shield.Inventory{Open: map[string]bool{}, Tried: map[string]bool{}}
	for _, a := range held {
		t.Inventory.Held = append(t.Inventory.Held, shield.Holding{
			Archive: a.UUID, Key: a.Key, ManifestKey: a.ManifestKey, Status: a.Status, Size: a.StoredSize, Missing: !a.MissingAt.IsZero(),
		})
	}
	return t
}

// kinds are the differences by archive or key.
func kinds(r shield.TaskResult) map[string]shield.DifferenceKind {
	all := map[string]shield.DifferenceKind{}
	for _, d := range r.Findings.Reconciliation.Differences {
		all[d.Archive] = d.Kind
	}
	return all
}

func TestReconcile(t *testing.T) {
	b := newBench(t)
	var a []*shield.Archive
	for range 8 {
		a = append(a, b.backup(t))
	}
	good, gone, bare, cut, purged, back, broken, lost := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
	b.memory.RemoveBlob("vault", gone.Key)
	b.memory.RemoveBlob("vault", bare.ManifestKey)
	b.memory.SetBlob("vault", cut.Key, []byte("short"))
	purged.Status = shield.ArchivePurging
	b.memory.RemoveBlob("vault", purged.Key) // on its way out: nobody misses it
	back.Status, back.MissingAt = shield.ArchiveInvalid, time.Now()
	broken.Status = shield.ArchiveInvalid // damaged, not missing: it stays so
	lost.Status, lost.MissingAt = shield.ArchiveInvalid, time.Now()
	b.memory.RemoveBlob("vault", lost.Key)
	stray := b.backup(t) // not in the catalog
	other := newBench(t)
	foreign := other.backup(t)
	for _, key := range []string{foreign.Key, foreign.ManifestKey} {
		blob, _ := other.memory.Blob("vault", key)
		b.memory.SetBlob("vault", key, blob)
	}
	b.memory.SetBlob("vault", "alone.manifest", []byte("x"))
	b.memory.SetBlob("vault", "alone too", []byte("xy"))
	b.memory.SetBlob("vault", "being written", []byte("x"))
	before := b.memory.Keys("vault")

	job := reconcileTask(a...)
	job.Inventory.Open["being written"] = true
	r, err := b.runner.Run(t.Context(), job, &b.monitor)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]shield.DifferenceKind{
		gone.UUID: shield.DiffMissing, bare.UUID: shield.DiffNoManifest, cut.UUID: shield.DiffChanged, back.UUID: shield.DiffFound,
	}, kinds(r)); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{gone.UUID}, {back.UUID}}, [][]string{r.Missing, r.Found}); diff != "" {
		t.Errorf("missing and found (-want +got):\n%s", diff)
	}
	strays := map[string]shield.Stray{}
	for _, s := range r.Strays {
		s.Size, s.ModifiedAt = 0, time.Time{}
		strays[s.Key] = s
	}
	if diff := cmp.Diff(map[string]shield.Stray{
		stray.Key:   {Key: stray.Key, Blob: true, Manifest: true, Signer: shield.SignerOwn},
		foreign.Key: {Key: foreign.Key, Blob: true, Manifest: true, Signer: shield.SignerOther},
		"alone":     {Key: "alone", Manifest: true},
		"alone too": {Key: "alone too", Blob: true},
	}, strays); diff != "" {
		t.Errorf("strays (-want +got):\n%s", diff)
	}
	if f := r.Findings.Reconciliation; f.Archives != 4 || f.Blobs != int64(len(before)) || f.Bytes < good.StoredSize {
		t.Errorf("found %+v", f)
	}
	if diff := cmp.Diff(before, b.memory.Keys("vault")); diff != "" {
		t.Errorf("the store was changed:\n%s", diff)
	}
}

// TestReconcileAnotherKey: a manifest of this daemon that somebody copied to
// another key says nothing of what is there.
func TestReconcileAnotherKey(t *testing.T) {
	b := newBench(t)
	a := b.backup(t)
	manifest, _ := b.memory.Blob("vault", a.ManifestKey)
	b.memory.SetBlob("vault", "copy", []byte("x"))
	b.memory.SetBlob("vault", "copy.manifest", manifest)
	r, err := b.runner.Run(t.Context(), reconcileTask(a), &b.monitor)
	if err != nil || len(r.Strays) != 1 || r.Strays[0].Signer != shield.SignerOther {
		t.Errorf("strays %+v, error %v", r.Strays, err)
	}
	b.runner = task.NewRunner(registryOf(t, b.faulty), &task.Options{SigningKey: ed25519.PrivateKey(nil)})
	r, err = b.runner.Run(t.Context(), reconcileTask(a), &b.monitor)
	if err != nil || len(r.Strays) != 1 || r.Strays[0].Signer != shield.SignerOther {
		t.Errorf("without keys: strays %+v, error %v", r.Strays, err)
	}
}

func registryOf(t testing.TB, o plugin.Opener) *plugin.Registry {
	t.Helper()
	plugins := plugin.NewRegistry()
	if err := plugins.Register("memory", o); err != nil {
		t.Fatal(err)
	}
	return plugins
}

// TestReconcileRefuses: a store that is the wrong one, fails or cannot list
// makes the task fail, and nothing missing.
func TestReconcileRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(b *bench, job *shield.Task)
		code  shield.Code
		text  string
	}{
		"empty": {func(_ *bench, job *shield.Task) {
			job.StoreEndpoint = shield.Endpoint(`{"name":"elsewhere"}`)
		}, shield.StoreFailed, "lists 0 blobs, but none of the 3 archives that the catalog has there: is this the right folder, bucket or mount?"},
		"of others": {func(b *bench, job *shield.Task) {
			job.StoreEndpoint = shield.Endpoint(`{"name":"elsewhere"}`)
			b.memory.SetBlob("elsewhere", "holiday.jpg", []byte("x"))
		}, shield.StoreFailed, "lists 1 blobs, but none of the 3"},
		"not available": {func(b *bench, _ *shield.Task) { b.faulty.Set(plugintest.ListUnavailable, 100) }, shield.Unavailable, "vault"},
		"wrong":         {func(_ *bench, job *shield.Task) { job.StoreEndpoint = shield.Endpoint(`{}`) }, shield.Invalid, ""},
		"hangs":         {func(b *bench, _ *shield.Task) { b.faulty.Set(plugintest.ListHangs, 0) }, shield.TimedOut, "store vault (memory) hangs"},
		"fails at the second look": {func(b *bench, job *shield.Task) {
			b.memory.RemoveBlob("vault", job.Inventory.Held[0].Key)
			b.faulty.Set(plugintest.GetUnavailable, 100)
		}, shield.Unavailable, "which it does not list"},
		"no inventory": {func(_ *bench, job *shield.Task) { job.Inventory = nil }, shield.Internal, "inventory"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *task.Options) { o.Workers, o.IdleTimeout = 1, 20*time.Second })
				job := reconcileTask(b.backup(t), b.backup(t), b.backup(t))
				tt.spoil(b, job)
				r, err := b.runner.Run(t.Context(), job, &b.monitor)
				if !errors.Is(err, tt.code) || !strings.Contains(err.Error(), tt.text) || len(r.Missing) > 0 {
					t.Errorf("got %+v, %v", r, err)
				}
			})
		})
	}
	b := newBench(t)
	b.memory.RemoveBlob("vault", "x")
	job := reconcileTask(b.backup(t))
	info, err := b.memory.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runner := b.runnerOver(registryOf(t, &plugin.Native{
		About: info,
		Store: func(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
			s, err := b.memory.OpenStore(t.Context(), e, log)
			return struct{ plugin.Store }{s}, err
		},
	}))
	if _, err := runner.Run(t.Context(), job, &b.monitor); !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), "cannot list") {
		t.Errorf("a store that cannot list: %v", err)
	}
}

// TestReconcileLateList: what a store does not list, but gives, is not missing;
// of a few archives all may be.
func TestReconcileLateList(t *testing.T) {
	b := newBench(t)
	a, second := b.backup(t), b.backup(t)
	b.memory.RemoveBlob("vault", second.Key)
	b.faulty.Set(plugintest.ListMisses, 0)
	r, err := b.runner.Run(t.Context(), reconcileTask(a, second), &b.monitor)
	if err != nil || len(r.Missing) != 1 || r.Missing[0] != second.UUID {
		t.Errorf("missing %q, error %v", r.Missing, err)
	}
	if log := strings.Join(b.monitor.lines, "\n"); !strings.Contains(log, a.Key+" was not listed at first, but is there") {
		t.Errorf("log %s", log)
	}
}
