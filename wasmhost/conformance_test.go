package wasmhost_test

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/wasmhost"
)

func endpoint(t testing.TB, fields map[string]any) shield.Endpoint {
	t.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConformance(t *testing.T) {
	o := open(t, newHost(t, nil), "folder", nil)
	conform(t, o)
}

func TestConformanceIsolated(t *testing.T) {
	h := newHost(t, &wasmhost.Options{Program: isolator(t)})
	grant := grantAll(t, h, guest(t, "folder"))
	grant.Isolation = plugin.IsolationProcess
	conform(t, open(t, h, "folder", &grant))
}

func conform(t *testing.T, o plugin.Opener) {
	t.Helper()
	target, restored, store := t.TempDir(), t.TempDir(), t.TempDir()
	content := make([]byte, 3<<20+17)
	sum := sha256.Sum256(content)
	if err := os.WriteFile(filepath.Join(target, "content"), append(content, sum[:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Run(t, o, plugintest.Config{
		TargetEndpoint:  endpoint(t, map[string]any{"dir": target, "password": "hunter2hunter2"}),
		RestoreEndpoint: endpoint(t, map[string]any{"dir": restored, "password": "hunter2hunter2"}),
		StoreEndpoint:   endpoint(t, map[string]any{"dir": store, "password": "hunter2hunter2", "lock": true}),
		Keeps:           true,
		Checksums:       true,
	})
}
