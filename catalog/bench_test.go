package catalog_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// BenchmarkCommit is one transaction of one row.
func BenchmarkCommit(b *testing.B) {
	db := mustOpen(b, filepath.Join(b.TempDir(), "shield.db"))
	for b.Loop() {
		if err := db.RecordEvent(b.Context(), &shield.Event{Kind: "bench"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClaim claims from a queue of some length, and puts the task back.
// What is blocked comes first in it: by a job that runs, or by waiting for a
// later attempt.
func BenchmarkClaim(b *testing.B) {
	for _, c := range []struct {
		name    string
		pending int
		change  string
	}{
		{"1000", 1000, ""},
		{"20000", 20_000, ""},
		{"5000-blocked", 6000, "UPDATE tasks SET job_uuid = 'busy', status = iif(id = 1, 'running', status) WHERE id <= 5000"},
		{"5000-waiting", 6000, "UPDATE tasks SET not_before = 1 << 50 WHERE id <= 5000"},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkClaim(b, c.pending, c.change) })
	}
}

func benchmarkClaim(b *testing.B, pending int, change string) {
	db := mustOpen(b, filepath.Join(b.TempDir(), "shield.db"))
	for _, sql := range []string{fmt.Sprintf(`WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT %d)
		INSERT INTO tasks
		SELECT NULL, printf('%%08x-0000-4000-8000-000000000000', value), 'bench', 'test-store', 'pending', value / 1000,
		'', '', '', '', '', '', '', '', 'fs', '', '', '', 0, '', 0, value, NULL, NULL, NULL, 0, 0, 0, 0, 0, NULL,
		'', 0, NULL, '', '', 0, 0, 0, 0, '', '', '', '', '', '' FROM n`, pending), change} {
		if err := db.Exec(sql); err != nil {
			b.Fatal(err)
		}
	}
	now := time.UnixMilli(1 << 40)
	for b.Loop() {
		t, err := db.ClaimTask(b.Context(), shield.Lease{Owner: "bench", Expires: now, Limit: 8, AgentLimit: 4}, now)
		if err != nil {
			b.Fatal(err)
		}
		l := shield.Lease{Owner: "bench", Epoch: t.LeaseEpoch, Expires: now}
		again := shield.Outcome{Status: shield.TaskFailed, StoppedAt: now, RetryAt: now}
		b.StopTimer()
		if err := db.FinishTask(b.Context(), t.UUID, l, again); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
