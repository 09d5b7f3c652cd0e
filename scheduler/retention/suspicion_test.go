package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

func ofSizes(sizes ...int64) []*shield.Archive {
	var all []*shield.Archive
	for _, n := range sizes {
		all = append(all, &shield.Archive{RawSize: n})
	}
	return all
}

func TestSuspicion(t *testing.T) {
	t.Parallel()
	const mega = 1 << 20
	for name, tt := range map[string]struct {
		raw    int64
		before []*shield.Archive
		want   string // empty: not suspicious
	}{
		"the first":                    {0, nil, ""},
		"empty, the second":            {0, ofSizes(1), "is empty, where the archive before it had 1 bytes"},
		"empty like the others":        {0, ofSizes(0, 0, 5), ""},
		"empty, few":                   {0, ofSizes(7, 8), "is empty, where the 2 archives before it (their median) had 7 bytes"},
		"small, but a young job":       {1, ofSizes(mega, mega), ""},
		"small":                        {mega/2 - 1, ofSizes(mega, mega, mega), "has 524287 bytes, less than half of the 1048576 that the 3 archives before it (their median) had"},
		"exactly half":                 {mega / 2, ofSizes(mega, mega, mega), ""},
		"half of an odd number":        {mega / 2, ofSizes(mega+1, mega+1, mega+1), "has 524288 bytes"},
		"far smaller, but all is":      {1, ofSizes(64<<10, 64<<10, 64<<10), ""},
		"one byte more lost":           {0 + 1, ofSizes(64<<10+1, 64<<10+1, 64<<10+1), "has 1 bytes"},
		"one that was large":           {mega, ofSizes(mega, 100*mega, mega), ""},
		"the lower one of two medians": {mega, ofSizes(mega, mega, 9*mega, 9*mega), ""},
		"grown":                        {100 * mega, ofSizes(1, 1, 1), ""},
		"what is older does not count": {mega, ofSizes(mega, mega, mega, mega, mega, mega, mega, mega, mega, mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega, 9*mega), ""},
		"sizes near the largest":       {mega, ofSizes(1<<63-1, 1<<63-1, 1<<63-1), "has 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := retention.Suspicion(tt.raw, tt.before)
			if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestPlanFreezes: a suspicious archive keeps all of its job, and stands in for
// none; acknowledged it is like any other.
func TestPlanFreezes(t *testing.T) {
	t.Parallel()
	all := archives("2026-03-09 10:00", "2026-03-08 10:00", "2026-03-07 10:00")
	all[0].Suspicion = "has 1 bytes"
	frozen := "frozen by suspicious archive 2026-03-09 10:00"
	want := []string{"2026-03-09 10:00: " + frozen, "2026-03-08 10:00: newest valid 1, " + frozen, "2026-03-07 10:00: " + frozen}
	if diff := cmp.Diff(want, plan(t, &shield.Policy{}, all)); diff != "" {
		t.Errorf("valid (-want +got):\n%s", diff)
	}
	all[0].Status = shield.ArchiveInvalid
	if diff := cmp.Diff(want[1:], plan(t, &shield.Policy{}, all)); diff != "" {
		t.Errorf("invalid (-want +got):\n%s", diff)
	}
	free := []string{"2026-03-08 10:00: newest valid 1", "2026-03-07 10:00: "}
	all[0].Status = shield.ArchivePurging
	if diff := cmp.Diff(free, plan(t, &shield.Policy{}, all)); diff != "" {
		t.Errorf("about to be purged (-want +got):\n%s", diff)
	}
	all[0].Status, all[0].Job = shield.ArchiveValid, "another" // it freezes its own job only
	if diff := cmp.Diff(free, plan(t, &shield.Policy{}, all)); diff != "" {
		t.Errorf("of another job (-want +got):\n%s", diff)
	}
	all[0].Job, all[0].AcknowledgedAt = "j", time.Now()
	want = []string{"2026-03-09 10:00: newest valid 1", "2026-03-08 10:00: ", "2026-03-07 10:00: "}
	if diff := cmp.Diff(want, plan(t, &shield.Policy{}, all)); diff != "" {
		t.Errorf("acknowledged (-want +got):\n%s", diff)
	}
}
