package plugintest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

func memory() (*plugintest.Memory, plugintest.Config) {
	m := plugintest.NewMemory()
	m.GenerateTarget("data", 200_000, 7)
	return m, plugintest.Config{
		TargetEndpoint: shield.Endpoint(`{"name":"data","password":"secret-of-the-target"}`),
		StoreEndpoint:  shield.Endpoint(`{"name":"shelf","password":"secret-of-the-store"}`),
		ReadsAll:       true,
		Checksums:      true,
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m, cfg := memory()
	plugintest.Run(t, m, cfg)
	if keys := m.Keys("shelf"); len(keys) > 0 {
		t.Errorf("the suite left %q", keys)
	}
}

func TestFaultyWithoutFaults(t *testing.T) {
	t.Parallel()
	m, cfg := memory()
	plugintest.Run(t, plugintest.NewFaulty(m), cfg)
}

// Each fault must be found by the suite.
func TestSuiteFindsFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault plugintest.Fault
		n     int64
		want  string // a part of the name of a check that fails
	}{
		{plugintest.TargetFailsAfter, 1000, "target: backup"},
		{plugintest.TargetFailsAtEnd, 0, "target: backup"},
		{plugintest.TargetHangsAfter, 1000, "target: backup"},
		{plugintest.TargetPanics, 1000, "target: backup"},
		{plugintest.RestoreFailsAfter, 1000, "target: backup"},
		{plugintest.RestoreHangsAfter, 1000, "target: backup"},
		{plugintest.RestoreStopsAfter, 1000, "target: backup"},
		{plugintest.RestoreIgnoresErrors, 0, "target: input that fails"},
		{plugintest.RestorePanics, 10, "target: backup"},
		{plugintest.PutFailsAfter, 0, "store: nothing"},
		{plugintest.PutLeavesPartial, 0, "store: nothing"},
		{plugintest.PutFull, 1 << 19, "store: 1 MiB"},
		{plugintest.PutHangsAfter, 0, "store: nothing"},
		{plugintest.PutAcksFewer, 1, "store: 1 MiB"},
		{plugintest.PutAcksDigest, 0, "store: one byte"},
		{plugintest.PutAcksKey, 0, "store: one byte"},
		{plugintest.PutDropsFrom, 100, "store: 1 MiB"},
		{plugintest.PutVanishes, 0, "store: one byte"},
		{plugintest.PutIgnoresErrors, 0, "store: input that fails"},
		{plugintest.PutPanics, 0, "store: one byte"},
		{plugintest.GetFlips, 0, "store: one byte"},
		{plugintest.GetFlips, 1<<20 - 1, "store: 1 MiB"},
		{plugintest.GetTruncates, 1<<20 - 1, "store: 1 MiB"},
		{plugintest.GetFailsAfter, 1 << 20, "store: 1 MiB"},
		{plugintest.GetHangsAfter, 1 << 20, "store: 1 MiB"},
		{plugintest.GetPanics, 0, "store: one byte"},
		{plugintest.GetEmpty, 0, "store: get of a missing key"},
		{plugintest.DeleteFails, 0, "store: delete twice"},
		{plugintest.DeleteLies, 0, "store: delete twice"},
		{plugintest.ListMisses, 0, "store: list"},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			m, cfg := memory()
			cfg.Timeout = 500 * time.Millisecond
			f := plugintest.NewFaulty(m)
			f.Set(tt.fault, tt.n)
			var failed []string
			for _, r := range plugintest.Check(t.Context(), f, cfg) {
				if r.Err != nil {
					failed = append(failed, r.Name)
				}
			}
			if !strings.Contains(strings.Join(failed, "\n"), tt.want) || f.Hits(tt.fault) == 0 {
				t.Errorf("failed checks are %q, want %q among them; the fault struck %d times", failed, tt.want, f.Hits(tt.fault))
			}
		})
	}
}

func TestSuiteFindsSecrets(t *testing.T) {
	t.Parallel()
	m, cfg := memory()
	info, err := m.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := &plugin.Native{
		About: info,
		Target: func(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
			log("opening " + string(e))
			return m.OpenTarget(t.Context(), e, log)
		},
		Store: func(e shield.Endpoint, log plugin.Log) (plugin.Store, error) { return m.OpenStore(t.Context(), e, log) },
	}
	results := plugintest.Check(t.Context(), o, cfg)
	if last := results[len(results)-1]; last.Err == nil || strings.Contains(last.Err.Error(), "secret-of") {
		t.Errorf("%s: %v", last.Name, last.Err)
	}
}
