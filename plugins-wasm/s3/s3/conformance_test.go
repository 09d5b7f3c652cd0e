//go:build linux

package s3_test

import (
	"testing"

	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start   func(testing.TB) *service
		dialect *s3.Dialect
	}{
		"MinIO": {startMinIO, nil}, "versitygw": {startVersityGW, nil},
		"scality with MinIO": {startMinIO, s3.Scality()}, "scality with versitygw": {startVersityGW, s3.Scality()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.start(t)
			for bucket, name := range map[string]string{"plain": s.bucket(t, false), "versioned": s.versioned(t), "locking": s.bucket(t, true)} {
				t.Run(bucket, func(t *testing.T) {
					more := fields{}
					if bucket == "locking" {
						more["lock_mode"] = "governance"
					}
					plugintest.Run(t, s3.Plugin(c.dialect), plugintest.Config{StoreEndpoint: s.endpoint(t, name, more), Keeps: bucket == "locking"})
					if left := s.left(t, name); len(left) > 0 {
						t.Errorf("left behind: %q", left)
					}
				})
			}
		})
	}
}
