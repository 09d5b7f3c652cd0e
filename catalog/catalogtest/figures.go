package catalogtest

import (
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testFigures(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	none, err := f.Figures(f.ctx)
	must(t, err)
	wantSame(t, "figures of nothing", none, &shield.Figures{Tasks: []shield.TaskFigure{}, Archives: []shield.ArchiveFigure{}})
	one := f.addArchive(epoch())
	f.setStatus(f.addArchive(epoch().Add(time.Hour)), shield.ArchiveInvalid, "")
	f.addTask()
	got, err := f.Figures(f.ctx)
	must(t, err)
	for n := range got.Tasks {
		if got.Tasks[n].Seconds < 0 {
			t.Errorf("%+v", got.Tasks[n])
		}
		got.Tasks[n].Seconds = 0
	}
	wantSame(t, "figures", got, &shield.Figures{
		Tasks: []shield.TaskFigure{{Op: shield.OpBackup, Status: shield.TaskDone, Count: 2}, {Op: shield.OpBackup, Status: shield.TaskPending, Count: 1}},
		Archives: []shield.ArchiveFigure{
			{Status: shield.ArchiveInvalid, Count: 1, RawBytes: one.RawSize, StoredBytes: one.StoredSize},
			{Status: shield.ArchiveValid, Count: 1, RawBytes: one.RawSize, StoredBytes: one.StoredSize},
		},
	})
}
