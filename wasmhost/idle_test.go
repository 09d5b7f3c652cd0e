package wasmhost_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

type noMonitor struct{}

func (noMonitor) Log(shield.Source, string) {}
func (noMonitor) Progress(shield.Progress)  {}

// A backup whose guest moves no byte is ended by the task's idle timeout: the
// module is closed, whatever it does, and the error names it.
func TestHostileIdle(t *testing.T) {
	memory, plugins := plugintest.NewMemory(), plugin.NewRegistry()
	if err := errors.Join(plugins.Register("memory", memory), plugins.Register("hostile", open(t, newHost(t, nil), "hostile", nil))); err != nil {
		t.Fatal(err)
	}
	_, signer, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	runner := task.NewRunner(plugins, &task.Options{SigningKey: signer})
	for _, do := range []string{"loop", "sleep"} {
		a := uuid.NewString()
		_, err := runner.Run(t.Context(), &shield.Task{
			Op: shield.OpBackup, Archive: a, Key: a, Retention: 60, Unencrypted: true, IdleTimeout: 1,
			Target: uuid.NewString(), TargetName: "db", TargetPlugin: "hostile", TargetEndpoint: endpoint(t, map[string]any{"do": do}),
			Store: uuid.NewString(), StoreName: "vault", StorePlugin: "memory", StoreEndpoint: shield.Endpoint(`{"name":"vault"}`),
		}, noMonitor{})
		if !errors.Is(err, shield.TimedOut) || !strings.Contains(err.Error(), "target db (hostile) hangs: no byte moved for 1s") {
			t.Errorf("%s: got %v, want timed out", do, err)
		}
		if left := memory.Keys("vault"); len(left) > 0 {
			t.Errorf("%s: the store has %q", do, left)
		}
	}
}
