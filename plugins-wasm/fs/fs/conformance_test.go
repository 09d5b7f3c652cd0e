package fs_test

import (
	"testing"

	"github.com/shieldhq/shield/plugin/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": "one", "sub/b": "two", "empty/": ""})
	plugintest.Run(t, subject(t), plugintest.Config{
		TargetEndpoint: endpoint(t, map[string]any{"base_dir": dir}),
		StoreEndpoint:  folder(t, t.TempDir()),
	})
}

func TestConformanceSharded(t *testing.T) {
	t.Parallel()
	plugintest.Run(t, subject(t), plugintest.Config{StoreEndpoint: folder(t, t.TempDir(), "shard", true)})
}
