package server_test

import (
	"testing"

	"github.com/shieldhq/shield"
)

// TestPurgeOfNothing: what the store has lost counts as purged, and says so.
func TestPurgeOfNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	for _, tt := range []struct {
		remove func(*shield.Archive)
		want   string
	}{
		{func(*shield.Archive) {}, "deleted by admin"},
		{func(a *shield.Archive) { f.memory.RemoveBlob("a", a.ManifestKey) }, "deleted by admin"},
		{func(a *shield.Archive) { f.memory.RemoveBlob("a", a.Key) }, "deleted by admin; the store had no blob under its key"},
	} {
		a := f.backup("a")
		tt.remove(a)
		if end := f.wait(f.client.PurgeArchive(t.Context(), a.UUID)); end.Status != shield.TaskDone {
			t.Errorf("the purge is %s: %s", end.Status, end.Error)
		}
		got, err := f.client.Archives().Get(t.Context(), a.UUID)
		f.must(err)
		if got.Status != shield.ArchivePurged || got.PurgeReason != tt.want {
			t.Errorf("the archive is %s because %q, want %q", got.Status, got.PurgeReason, tt.want)
		}
		if keys := f.memory.Keys("a"); len(keys) > 0 {
			t.Errorf("the store has %q", keys)
		}
	}
}
