package catalogtest

import (
	"testing"

	"github.com/shieldhq/shield"
)

// testOwn: an archive has keys of its own in its store, and a seal of its own,
// until it is purged.
func testOwn(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	first := f.makeArchive(epoch(), "")
	finish := func(key, manifest, seal string) error {
		f.addTask()
		task, l := f.claim(epoch())
		a := &shield.Archive{Key: key, ManifestKey: manifest, Seal: seal, TakenAt: epoch(), Plugin: "fs"}
		err := f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch(), Archive: a})
		if err != nil { // out of the way of the next
			must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskFailed, Code: shield.Corrupt, StoppedAt: epoch()}))
		}
		return err
	}
	wantCode(t, finish(first.Key, "m1", "s1"), shield.Invalid, "store_key")
	wantCode(t, finish(first.ManifestKey, "m1", "s1"), shield.Invalid, "store_key")
	wantCode(t, finish("k1", first.Key, "s1"), shield.Invalid, "store_key")
	wantCode(t, finish("k1", first.ManifestKey, "s1"), shield.Invalid, "store_key")
	wantCode(t, finish("k1", "m1", first.Seal), shield.Invalid, "seal")
	must(t, finish("k1", "m1", "s1"))
	must(t, finish("k2", "m2", "")) // one in the clear has none
	must(t, finish("k3", "m3", ""))

	owner := func(store, key, want string) {
		t.Helper()
		if got, err := f.KeyOwner(f.ctx, store, key); err != nil || got != want {
			t.Errorf("%s is that of %q, %v: want %q", key, got, err, want)
		}
	}
	owner(f.store.UUID, first.Key, first.UUID)
	owner(f.store.UUID, first.ManifestKey, first.UUID)
	owner(f.store.UUID, "none", "")
	owner(f.store.UUID, "", "")
	owner(f.target.UUID, first.Key, "") // another store
	f.setStatus(first, shield.ArchiveExpired, "gone")
	owner(f.store.UUID, first.Key, first.UUID)
	f.setStatus(first, shield.ArchivePurged, "gone")
	owner(f.store.UUID, first.Key, "")
	must(t, finish(first.Key, first.ManifestKey, "s4"))
}
