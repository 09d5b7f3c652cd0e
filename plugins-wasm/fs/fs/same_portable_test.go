//go:build !linux || portable

package fs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// portable is whether this is the source for systems other than Linux.
const portable = true

// same compares what the portable source keeps.
func same(t testing.TB, a, b string) {
	t.Helper()
	if diff := cmp.Diff(tree(t, a), tree(t, b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
