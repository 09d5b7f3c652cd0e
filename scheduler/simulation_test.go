package scheduler_test

import (
	"crypto/ed25519"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

var (
	simSeeds = flag.Int("simulation.seeds", 150, "how many seeds TestSimulation runs; a fifteenth of it with the race detector")
	simFirst = flag.Uint64("simulation.first", 1, "the first seed of TestSimulation")
)

// slow is set where the race detector is on: it makes SQLite, which is Go here,
// ten times slower.
var slow = false

// TestSimulation has a scheduler and its runner live through some hours, with
// the catalog as it is and plugins in memory, while all that can go wrong
// does: see simSteps, and the faults of simcatalog_test.go and
// simplugins_test.go. After each step it checks what must hold at any time,
// and at the end, when the faults have ceased, that everything came to an end:
// see simcheck_test.go.
//
// A seed decides what is done and when, and which call has which fault: the
// third Put of a store has the same one in each run. Virtual time makes
// timers exact. What it does not decide is which of two goroutines that are
// ready goes first, the pauses between tries, which are spread at random on
// purpose, and UUIDs. A seed that failed nearly always fails again; where it
// does not, it does in a few runs:
//
//	go test ./scheduler -run TestSimulation -simulation.first 17 -simulation.seeds 1 -count 10
//
// make simulation runs more seeds than the tests do each time.
func TestSimulation(t *testing.T) {
	n := *simSeeds
	switch {
	case testing.Short():
		n = min(n, 10)
	case slow:
		n = max(n/15, 1)
	}
	for i := range uint64(n) {
		seed := *simFirst + i
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

// A simulation is a world with one catalog, its schedulers, and plugins.
type simulation struct {
	t      *testing.T
	seed   uint64
	r      *rand.Rand // of the steps alone
	db     *catalog.DB
	path   string
	memory *plugintest.Memory
	opts   *task.Options

	ahead     atomic.Int64 // how far the wall's clock is ahead of the bubble's
	processes []*process
	started   int
	exclusive bool
	jobs      map[string]*simJob // by UUID
	demanded  map[string]bool    // runs that must be in the ledger: "job due"
	calm      time.Time          // since when nothing disturbs planning
	latest    time.Time          // that it showed before it was set back
	limit     int

	// books is held for reading by whoever changes the catalog, so that checks
	// see it as it is at one moment.
	books    sync.RWMutex
	user     sync.Mutex // there is one who changes archives
	mu       sync.Mutex
	weather  weather
	outage   outage
	calls    map[string]uint64
	contents map[string]bool      // digests of what targets have held
	held     map[string]bool      // archives that users have held
	lost     map[string]bool      // targets whose newest archives users have purged
	ruled    map[string]time.Time // when a policy was changed, by UUID
	set      time.Time            // when the clock was set last
	lines    []string
}

// The weather is how probable faults are.
type weather struct{ plugins, catalog, lag float64 }

// An outage of the catalog lasts until a time of the bubble.
type outage struct {
	until time.Time
	reads bool // fail, too
	beats bool // heartbeats alone fail
}

func simulate(t *testing.T, seed uint64) {
	w := newSimulation(t, seed)
	defer w.end()
	for range 40 {
		w.step()
		w.check()
	}
	w.settle()
	w.checkEnd()
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &simulation{
		t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), path: catalog.Memory, memory: plugintest.NewMemory(),
		opts: &task.Options{
			Recipients: []age.Recipient{id.Recipient()}, RecipientNames: []string{id.Recipient().String()},
			Identities: []age.Identity{id}, SigningKey: private, IdleTimeout: 5 * time.Minute, Grace: 5 * time.Second, Workers: 1,
		},
		jobs: map[string]*simJob{}, demanded: map[string]bool{}, calls: map[string]uint64{}, contents: map[string]bool{},
		held: map[string]bool{}, lost: map[string]bool{}, ruled: map[string]time.Time{},
	}
	if seed%8 == 0 {
		w.path = filepath.Join(t.TempDir(), "catalog.db")
	}
	w.db = must[*catalog.DB](t)(catalog.Open(t.Context(), w.path, nil))
	w.exclusive = w.r.IntN(3) > 0
	w.limit = 1 + w.r.IntN(4)
	w.weather = w.someWeather()
	start := pick(w.r, "2026-01-31T22:00:00Z", "2026-03-28T23:30:00Z", "2026-10-24T23:00:00Z", "2026-03-08T05:00:00Z", "2026-11-01T03:30:00Z", "2026-04-04T13:00:00Z")
	at := must[time.Time](t)(time.Parse(time.RFC3339, start))
	w.ahead.Store(int64(time.Until(at)))
	w.found()
	w.startAll()
	return w
}

func (w *simulation) someWeather() weather {
	return weather{
		plugins: pick(w.r, 0, 0.1, 0.3, 0.7),
		catalog: pick(w.r, 0, 0, 0.01, 0.05),
		lag:     pick(w.r, 0, 0.1, 0.5),
	}
}

// end drops everything; a test that failed shows its last steps.
func (w *simulation) end() {
	for _, p := range w.processes {
		p.kill()
	}
	for _, p := range w.processes {
		<-p.gone
	}
	if err := w.db.Close(); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t.Failed() {
		w.t.Logf("seed %d; the last steps:\n%s", w.seed, strings.Join(w.lines[max(0, len(w.lines)-500):], "\n"))
	}
}

// clock is what the schedulers take for the time.
func (w *simulation) clock() time.Time {
	return time.Now().Round(0).Add(time.Duration(w.ahead.Load())).UTC()
}

func (w *simulation) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf("%s (%s) %s", w.clock().Format("2006-01-02 15:04:05.000"), time.Since(simEpoch).Round(time.Millisecond), line))
}

// simEpoch is when the time of bubbles begins.
var simEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// fail ends the simulation.
func (w *simulation) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s", w.seed, fmt.Sprintf(format, args...))
}

func (w *simulation) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%v", err)
	}
}

// draw returns random numbers for one call of something: the same for the
// same call, in whichever order different things are called.
func (w *simulation) draw(what string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(what))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[what]++
	return rand.New(rand.NewPCG(w.seed, h.Sum64()+w.calls[what]*0x9e3779b97f4a7c15))
}

func (w *simulation) now() (weather, outage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.weather, w.outage
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// between is a time from low to high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// A simJob is a job as the simulation knows it.
type simJob struct {
	*shield.Job
	// Every time of its schedule from then to then must be in the ledger.
	from, to time.Time
	seen     time.Time // where the clock was when this was looked at last
	changed  time.Time // or made, by the time of the bubble
}
