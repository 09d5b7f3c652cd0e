package retention

import (
	"fmt"
	"slices"

	"github.com/shieldhq/shield"
)

// Of what a new archive is compared with.
const (
	// CompareWith is how many archives before it count, the newest of its job
	// and target that are not suspicious.
	CompareWith = 10
	// compareLeast is how many are wanted to say that it is small: the first
	// archives of a job tell nothing of what is usual.
	compareLeast = 3
	// smallLoss is how many bytes it may be smaller than they are, whatever
	// part of them that is.
	smallLoss = 64 << 10
)

// Suspicion says why an archive of so many raw bytes does not look like those
// before it, in words that follow "it"; it is empty if the archive does. An
// archive is suspicious if it is empty where those before it were not, or if
// it has less than half of their median, and 64 KiB less at least. Those
// before it are the newest of its job and target, the newest first.
func Suspicion(raw int64, before []*shield.Archive) string {
	before = before[:min(len(before), CompareWith)]
	if len(before) == 0 {
		return ""
	}
	sizes := make([]int64, len(before))
	for i, a := range before {
		sizes[i] = a.RawSize
	}
	slices.Sort(sizes)
	median := sizes[(len(sizes)-1)/2] // the lower one of two
	switch {
	case raw == 0 && median > 0:
		return fmt.Sprintf("is empty, where %s had %d bytes", those(len(before)), median)
	case len(before) < compareLeast, raw >= median-median/2, median-raw < smallLoss:
		return ""
	}
	return fmt.Sprintf("has %d bytes, less than half of the %d that %s had", raw, median, those(len(before)))
}

func those(n int) string {
	if n == 1 {
		return "the archive before it"
	}
	return fmt.Sprintf("the %d archives before it (their median)", n)
}

// FrozenBy returns the suspicious archive because of which nothing of a job is
// purged, the first of those that there are, or nil. It is given archives of
// one target.
func FrozenBy(job string, ofTarget []*shield.Archive) *shield.Archive {
	for _, a := range ofTarget {
		if a.Job == job && a.Suspicious() && (a.Status == shield.ArchiveValid || a.Status == shield.ArchiveInvalid) {
			return a
		}
	}
	return nil
}
