package scheduler_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/internal/scaleseed"
	"github.com/shieldhq/shield/scheduler"
)

// BenchmarkScale measures the steps of a scheduler over a catalog with 100,000
// jobs and 1,000,000 archives, or with SHIELD_BENCH_JOBS jobs and ten times as
// many archives. It is meant for -benchtime 1x: its parts repeat themselves
// where they can.
func BenchmarkScale(b *testing.B) {
	size := scaleseed.Scale
	if n, err := strconv.Atoi(os.Getenv("SHIELD_BENCH_JOBS")); err == nil {
		size.Jobs, size.Archives = n, 10*n
	}
	path := filepath.Join(b.TempDir(), "shield.db")
	must[any](b)(nil, must[*catalog.DB](b)(catalog.Open(b.Context(), path, nil)).Close())
	now := time.Now()
	must[any](b)(nil, scaleseed.Fill(b.Context(), path, size, now))
	db := must[*catalog.DB](b)(catalog.Open(b.Context(), path, nil))
	b.Cleanup(func() { must[any](b)(nil, db.Close()) })
	s := scheduler.New(db, &RunnerMock{RunFunc: goodRun}, &scheduler.Options{Log: slog.New(slog.NewTextHandler(b.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
	s.SetClock(func() time.Time { return now })

	b.Run("first-plan", func(b *testing.B) {
		for b.Loop() {
			report(b, whole(s.Ticks(b.Context()), now), "first-plan-ms")
		}
	})
	b.Run("idle-tick", func(b *testing.B) {
		for b.Loop() {
			tick, at := s.Ticks(b.Context()), now
			whole(tick, at)
			var took []time.Duration
			for range 300 {
				at = at.Add(time.Minute) // each plans, sweeps and judges
				took = append(took, whole(tick, at))
			}
			slices.Sort(took)
			report(b, took[len(took)/2], "idle-tick-ms")
			report(b, took[len(took)*99/100], "idle-tick-p99-ms")
		}
	})
	b.Run("due-tick", func(b *testing.B) {
		for b.Loop() {
			tick, at := s.Ticks(b.Context()), now.Truncate(time.Minute).Add(time.Minute)
			whole(tick, now)
			must[any](b)(nil, scaleseed.Due(b.Context(), path, 1000, at))
			report(b, whole(tick, at.Add(time.Minute)), "due-tick-ms")
			if n := len(must[[]*shield.Task](b)(db.Tasks(b.Context(), shield.Filter{}))); n != 1000 {
				b.Fatalf("%d tasks, want 1000", n)
			}
		}
	})
	b.Run("claim", func(b *testing.B) {
		for b.Loop() {
			var took []time.Duration
			for range 300 {
				began := time.Now()
				must[*shield.Task](b)(db.ClaimTask(b.Context(), shield.Lease{Owner: "bench", Expires: now.Add(time.Hour)}, now.Add(time.Hour)))
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			report(b, took[len(took)/2], "claim-ms")
		}
	})
	b.Run("retention", func(b *testing.B) { benchmarkRetention(b, db, s, path, now) })
}

// whole ticks until nothing is left to do.
func whole(tick func(time.Time) bool, now time.Time) time.Duration {
	began := time.Now()
	for tick(now) {
	}
	return time.Since(began)
}

// benchmarkRetention has all archives looked at, while others read and write.
func benchmarkRetention(b *testing.B, db *catalog.DB, s *scheduler.Scheduler, path string, now time.Time) {
	for b.Loop() {
		b.StopTimer()
		must[any](b)(nil, scaleseed.Expire(b.Context(), path))
		var others sync.WaitGroup
		ended := make(chan struct{})
		var reads, writes []time.Duration
		use := func(into *[]time.Duration, f func() error) {
			others.Go(func() {
				for {
					began := time.Now()
					if err := f(); err != nil {
						b.Error(err)
					}
					*into = append(*into, time.Since(began))
					select {
					case <-ended:
						return
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
		}
		use(&reads, func() error {
			_, err := db.Archives(b.Context(), shield.Filter{Limit: 50})
			return err
		})
		use(&writes, func() error { return db.RecordEvent(b.Context(), &shield.Event{Kind: "bench"}) })
		b.StartTimer()
		began := time.Now()
		must[any](b)(nil, s.Review(b.Context(), now.Add(2*time.Hour)))
		report(b, time.Since(began), "retention-ms")
		close(ended)
		others.Wait()
		slices.Sort(reads)
		slices.Sort(writes)
		report(b, reads[len(reads)*99/100], "read-p99-ms")
		report(b, writes[len(writes)*99/100], "write-p99-ms")
	}
}

func report(b *testing.B, d time.Duration, unit string) {
	b.ReportMetric(d.Seconds()*1000, unit)
}
