package plugintest_test

import (
	"strings"
	"sync/atomic"
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

// TestKept waits until the lock of a store of its own is over.
func TestKept(t *testing.T) {
	t.Parallel()
	m, cfg := memory()
	cfg.StoreEndpoint, cfg.Keeps = shield.Endpoint(`{"name":"shelf","lock":true}`), true
	plugintest.Run(t, plugintest.NewFaulty(m), cfg)
	if keys := m.Keys("shelf"); len(keys) > 0 {
		t.Errorf("the suite left %q", keys)
	}
}

// TestOwnPrefix: with a prefix of its own the suite leaves what others do in
// the store alone, and cleans up after a store that does not.
func TestOwnPrefix(t *testing.T) {
	t.Parallel()
	m, cfg := memory()
	m.SetBlob("shelf", "2026/11/22/archive", []byte("precious"))
	m.SetBlob("shelf", "plugintest/other/1", []byte("of another run"))
	cfg.Prefix, cfg.TargetEndpoint = "plugintest/mine/", nil
	var seen []string
	cfg.Each = func(r plugintest.Result) {
		seen = append(seen, r.Name)
		m.SetBlob("shelf", "2026/11/22/"+r.Name, nil)
	}
	f := plugintest.NewFaulty(m)
	results := plugintest.Check(t.Context(), f, cfg)
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Name, r.Err)
		}
	}
	if len(seen) != len(results) {
		t.Errorf("%d results were announced of %d", len(seen), len(results))
	}
	// A store that leaves something behind fails the last check but one.
	var lies atomic.Int32
	f.SetWhere(plugintest.DeleteLies, 0, func(string) bool { return lies.Add(1) < 3 })
	results = plugintest.Check(t.Context(), f, cfg)
	if left := results[len(results)-2]; left.Name != "store: nothing is left" || left.Err == nil {
		t.Errorf("%s: %v", left.Name, left.Err)
	}
	for _, key := range m.Keys("shelf") {
		if strings.HasPrefix(key, cfg.Prefix) {
			t.Errorf("%q is left", key)
		}
	}
	if b, _ := m.Blob("shelf", "2026/11/22/archive"); string(b) != "precious" {
		t.Errorf("the archive is %q", b)
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
		{plugintest.PutUnavailable, 1, "store: nothing"},
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
		{plugintest.DeleteHangs, 0, "store: one byte"},
		{plugintest.DeleteLocked, 60, "store: one byte"},
		{plugintest.DeleteUnavailable, 1, "store: nothing"},
		{plugintest.GetUnavailable, 1, "store: nothing"},
		{plugintest.KeepForgets, 0, "store: kept until"},
		{plugintest.ListMisses, 0, "store: list"},
		{plugintest.ListHangs, 0, "store: list"},
		{plugintest.ListUnavailable, 1, "store: nothing"},
		{plugintest.ProbeFails, 0, "target: probe"},
		{plugintest.ProbeHangs, 0, "target: probe"},
		{plugintest.ProbeCounts, 0, "target: probe"},
		{plugintest.InspectAccepts, 0, "target: inspect broken"},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			m, cfg := memory()
			cfg.Timeout = 500 * time.Millisecond
			if tt.fault == plugintest.KeepForgets {
				cfg.StoreEndpoint, cfg.Keeps = shield.Endpoint(`{"name":"shelf","lock":true}`), true
			}
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
