//go:build linux

package s3_test

import (
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

func TestSandboxConformance(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.bucket(t, true)
	plugintest.Run(t, shieldtest.Sandboxed(t, "s3"), plugintest.Config{StoreEndpoint: s.endpoint(t, bucket, fields{"lock_mode": "governance"}), Keeps: true})
	if left := s.left(t, bucket); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// openers are the ways to run the plugin.
func openers(t testing.TB) map[string]plugin.Opener {
	t.Helper()
	return map[string]plugin.Opener{"native": s3.Plugin(nil), "sandbox": shieldtest.Sandboxed(t, "s3")}
}
