package server_test

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/internal/scaleseed"
	"github.com/shieldhq/shield/server"
)

// BenchmarkLists asks for pages of a catalog with 10,000 jobs and 100,000
// archives; p99-ms is how long 99 of 100 answers take.
func BenchmarkLists(b *testing.B) {
	path := filepath.Join(b.TempDir(), "catalog.db")
	db, err := catalog.Open(b.Context(), path, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	if err := scaleseed.Fill(b.Context(), path, scaleseed.Size{Jobs: 10_000, Archives: 100_000, Schedules: 100, Policies: 10}, time.Now()); err != nil {
		b.Fatal(err)
	}
	if db, err = catalog.Open(b.Context(), path, nil); err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := server.New(db, nil, failing{}, nil, server.Options{Token: token})
	get := func(b *testing.B, path string) *httptest.ResponseRecorder {
		req := httptest.NewRequest("GET", path, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != 200 || w.Body.Len() < 10 {
			b.Fatalf("%s: %d %.300s", path, w.Code, w.Body)
		}
		return w
	}
	b.Run("100 a second", func(b *testing.B) { atOnce(b, get) })
	for _, path := range []string{
		"/v1/archives?limit=50", "/v1/archives?limit=50&status=valid", "/v1/archives?limit=50&sort=raw_size", "/v1/jobs?limit=100", "/v1/jobs?limit=100&sort=-updated_at", "/metrics",
	} {
		b.Run(strings.TrimPrefix(path, "/v1/"), func(b *testing.B) {
			var took []time.Duration
			next := path
			for b.Loop() {
				began := time.Now()
				w := get(b, next)
				took = append(took, time.Since(began))
				next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
				if next == "" {
					next = path
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// atOnce asks for lists 100 times a second, whether answers come or not, as
// users do, and reports how long 99 of 100 answers took at most, and the memory
// before and afterwards: the heap, and what the process has of the machine. 200
// requests that are not counted fill the caches.
func atOnce(b *testing.B, get func(*testing.B, string) *httptest.ResponseRecorder) {
	const every = 10 * time.Millisecond
	paths := []string{
		"/v1/archives?limit=50", "/v1/archives?limit=50&status=valid&sort=-taken_at", "/v1/archives?limit=50&sort=-stored_size",
		"/v1/jobs?limit=100", "/v1/jobs?limit=100&sort=-updated_at", "/v1/jobs?limit=100&paused=false", "/v1/schedules?limit=100",
	}
	for n := range 200 {
		get(b, paths[n%len(paths)])
	}
	before, resident := heap(), rss(b)
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; b.Loop(); n++ {
		due := <-tick.C
		all.Go(func() {
			get(b, paths[n%len(paths)])
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due))
		})
	}
	all.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	after := heap()
	b.ReportMetric(before, "heap-start-MiB")
	b.ReportMetric(after, "heap-end-MiB")
	b.ReportMetric(after-before, "heap-grown-MiB")
	b.ReportMetric(resident, "rss-start-MiB")
	b.ReportMetric(rss(b), "rss-end-MiB")
}

// heap is what is in use of it, in MiB, without garbage.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools keep theirs for one
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// rss is the memory, in MiB, that the process has of the machine when it has
// given back what it does not need; 0 where that cannot be seen.
func rss(b *testing.B) float64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, text, _ = bytes.Cut(text, []byte("VmRSS:"))
	kib, err := strconv.ParseFloat(string(bytes.Fields(text)[0]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}
