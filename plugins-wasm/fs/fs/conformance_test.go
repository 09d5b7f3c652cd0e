package fs_test

import (
	"testing"

	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": "one", "sub/b": "two", "empty/": ""})
	plugintest.Run(t, fs.Plugin(), plugintest.Config{
		TargetEndpoint: endpoint(t, map[string]any{"base_dir": dir}),
		StoreEndpoint:  endpoint(t, map[string]any{"base_dir": t.TempDir()}),
	})
}
