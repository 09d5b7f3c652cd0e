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
func BenchmarkClaim(b *testing.B) {
	for _, pending := range []int{1000, 20_000} {
		b.Run(fmt.Sprint(pending), func(b *testing.B) {
			db := mustOpen(b, filepath.Join(b.TempDir(), "shield.db"))
			err := db.Exec(fmt.Sprintf(`WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT %d)
				INSERT INTO tasks
				SELECT NULL, printf('%%08x-0000-4000-8000-000000000000', value), 'bench', 'test-store', 'pending', value %% 100,
				'', '', '', '', '', '', '', '', 'fs', '', '', '', 0, '', 0, value, NULL, NULL, NULL, 0, 0, NULL,
				'', 0, NULL, '', '', 0, 0, 0, 0, '', '', '', '' FROM n`, pending))
			if err != nil {
				b.Fatal(err)
			}
			now := time.UnixMilli(1 << 40)
			for b.Loop() {
				t, err := db.ClaimTask(b.Context(), shield.Lease{Owner: "bench", Expires: now}, now)
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
		})
	}
}
