package bundled_test

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/shieldhq/shield/internal/bundled"
)

// TestModules checks what was built in, if anything was.
func TestModules(t *testing.T) {
	all, err := bundled.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		module, err := m.Load()
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		if got := fmt.Sprintf("sha256:%x", sha256.Sum256(module)); got != m.Digest {
			t.Errorf("%s has digest %s, want %s", m.Name, got, m.Digest)
		}
	}
}
