//go:build linux

package s3_test

import (
	"testing"

	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *service{"MinIO": startMinIO, "versitygw": startVersityGW} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for bucket, name := range map[string]string{"plain": s.bucket(t, false), "versioned": s.versioned(t)} {
				t.Run(bucket, func(t *testing.T) {
					plugintest.Run(t, s3.Plugin(nil), plugintest.Config{StoreEndpoint: s.endpoint(t, name, nil)})
					if left := s.left(t, name); len(left) > 0 {
						t.Errorf("left behind: %q", left)
					}
				})
			}
		})
	}
}
