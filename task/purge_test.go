package task_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// TestPurgeOfNothing: a purge says whether there was a blob, and fails rather
// than guess.
func TestPurgeOfNothing(t *testing.T) {
	b := newBench(t)
	a := b.backup(t)
	for _, absent := range []bool{false, true} { // the second finds nothing
		r, err := b.runner.Run(t.Context(), purgeTask(a), &b.monitor)
		if err != nil || r.Absent != absent {
			t.Errorf("absent is %v, error %v", r.Absent, err)
		}
	}
	if log := strings.Join(b.monitor.lines, "\n"); strings.Count(log, "had no blob "+a.Key) != 1 {
		t.Errorf("the log has %s", log)
	}
	a = b.backup(t)
	b.memory.SetBlob("vault", a.Key+"-longer", []byte("x")) // its key begins alike
	purge := purgeTask(a)
	if r, err := b.runner.Run(t.Context(), purge, &b.monitor); err != nil || r.Absent {
		t.Errorf("absent is %v, error %v", r.Absent, err)
	}
	if r, err := b.runner.Run(t.Context(), purge, &b.monitor); err != nil || !r.Absent {
		t.Errorf("absent is %v, error %v", r.Absent, err)
	}
	b.faulty.Set(plugintest.DeleteFails, 0)
	if r, err := b.runner.Run(t.Context(), purge, &b.monitor); !errors.Is(err, shield.StoreFailed) || r.Absent {
		t.Errorf("a store that fails: absent is %v, error %v", r.Absent, err)
	}
}
