package webdav_test

import (
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("rclone", func(t *testing.T) {
		t.Parallel()
		w := testserver.StartRcloneDAV(t, nil)
		plugintest.Run(t, webdav.Plugin(), plugintest.Config{StoreEndpoint: endpoint(t, w, w.URL, "prefix", "a b/c")})
		wantEmpty(t, w)
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		ca := testserver.NewCA(t)
		cert, key := ca.Issue("127.0.0.1")
		w := testserver.StartApacheDAV(t, &testserver.WebDAVOptions{Certificate: cert, Key: key})
		plugintest.Run(t, webdav.Plugin(), plugintest.Config{StoreEndpoint: endpoint(t, w, w.URL, "ca", ca.PEM)})
		wantEmpty(t, w)
	})
}

func TestTester(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, *testserver.WebDAVOptions) *testserver.WebDAV{
		"rclone": testserver.StartRcloneDAV, "apache": testserver.StartApacheDAV,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, nil)
			st := open(t, endpoint(t, w, w.URL+"/"))
			if err := st.(plugin.Tester).Test(t.Context()); err != nil {
				t.Error(err)
			}
			wantEmpty(t, w)
		})
	}
}
