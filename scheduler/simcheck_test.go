package scheduler_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/task"
)

// check looks at what must hold at any time.
func (w *simulation) check() {
	w.t.Helper()
	ctx := w.t.Context()
	w.books.Lock()
	defer w.books.Unlock()
	archives := must[[]*shield.Archive](w.t)(w.db.Archives(ctx, shield.Filter{}))
	tasks := must[[]*shield.Task](w.t)(w.db.Tasks(ctx, shield.Filter{}))
	runs := must[[]*shield.Run](w.t)(w.db.Runs(ctx, shield.Filter{}))
	w.checkArchives(archives)
	w.checkTasks(tasks, archives)
	w.checkRuns(runs, tasks)
	w.checkLedger(runs)
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// checkArchives: no valid archive is lost.
func (w *simulation) checkArchives(archives []*shield.Archive) {
	w.t.Helper()
	for _, a := range archives {
		blob, there := w.memory.Blob(a.StoreName, a.Key)
		manifest, beside := w.memory.Blob(a.StoreName, a.ManifestKey)
		valid := a.Status == shield.ArchiveValid
		switch {
		case valid && (!there || !beside):
			w.t.Errorf("archive %s is valid and not in its store: blob %v, manifest %v", a.UUID, there, beside)
		case valid && (int64(len(blob)) != a.StoredSize || len(manifest) == 0 || digestOf(blob) != a.StoredDigest):
			w.t.Errorf("archive %s is valid and not whole: %d of %d bytes", a.UUID, len(blob), a.StoredSize)
		case a.Status == shield.ArchivePurged && (there || beside):
			w.t.Errorf("archive %s is purged and in its store: blob %v, manifest %v", a.UUID, there, beside)
		}
		w.mu.Lock()
		held, known := w.held[a.UUID]
		real := w.contents[a.RawDigest]
		w.mu.Unlock()
		if known && held != a.Held {
			w.t.Errorf("archive %s: held %v, its user was told %v", a.UUID, a.Held, held)
		}
		if held && !valid {
			w.t.Errorf("archive %s is held and %s", a.UUID, a.Status)
		}
		if !real {
			w.t.Errorf("archive %s has %d bytes with digest %s, which no target has held", a.UUID, a.RawSize, a.RawDigest)
		}
	}
}

// checkExpiry is asked before an archive is given up, as the plainest reading
// of its policy would.
func (w *simulation) checkExpiry(a *shield.Archive) {
	ctx := context.Background()
	old := must[*shield.Archive](w.t)(w.db.Archive(ctx, a.UUID))
	if old.Status != shield.ArchiveValid || a.Status != shield.ArchiveExpired {
		return
	}
	j, err := w.db.Job(ctx, a.Job)
	p := &shield.Policy{}
	if err == nil {
		p = must[*shield.Policy](w.t)(w.db.Policy(ctx, j.Policy))
	}
	newer, own, days := 0, 0, map[string]bool{}
	zone := must[*time.Location](w.t)(time.LoadLocation(p.Timezone))
	for _, o := range w.valid() {
		if o.Target != a.Target || !o.TakenAt.After(a.TakenAt) {
			continue
		}
		if newer++; o.Job == a.Job {
			own++
			days[o.TakenAt.In(zone).Format(time.DateOnly)] = true
		}
	}
	w.mu.Lock()
	ruled := time.Since(w.ruled[p.UUID]) < 10*time.Minute
	set := time.Since(w.set) < 10*time.Minute
	w.mu.Unlock()
	switch {
	case old.Held: // the catalog has to refuse it
	case newer == 0:
		w.t.Errorf("archive %s is the newest valid one of its target and given up", a.UUID)
	case ruled: // its policy was changed a moment ago
	case old.ExpiresAt.After(w.clock()) && !set: // or the sweep, slowed down, began before
		w.t.Errorf("archive %s expires at %s and is given up at %s", a.UUID, old.ExpiresAt, w.clock())
	case newer < p.MinValid || own < p.KeepLast || len(days) < p.KeepDaily && !days[a.TakenAt.In(zone).Format(time.DateOnly)]:
		w.t.Errorf("archive %s is wanted by %+v and given up: %d newer of its target, %d of its job on %d days", a.UUID, p, newer, own, len(days))
	}
}

// checkTasks: no success without bytes, and no more at once than is allowed.
func (w *simulation) checkTasks(tasks []*shield.Task, archives []*shield.Archive) {
	w.t.Helper()
	made := map[string]bool{}
	for _, a := range archives {
		made[a.UUID] = true
	}
	running := map[string]string{}
	for _, t := range tasks {
		if t.Op == shield.OpBackup && (t.Status == shield.TaskDone) != made[t.Archive] {
			w.t.Errorf("backup %s is %s, its archive %s exists: %v", t.UUID, t.Status, t.Archive, made[t.Archive])
		}
		if t.Status.Final() && t.Status != shield.TaskDone && t.Error == "" && !t.StartedAt.IsZero() {
			w.t.Errorf("%s %s %s without a word", t.Op, t.UUID, t.Status)
		}
		if t.Status != shield.TaskRunning {
			continue
		}
		if o := running[t.Job]; t.Job != "" && o != "" {
			w.t.Errorf("tasks %s and %s of job %s run at once", o, t.UUID, t.JobName)
		}
		running[t.Job] = t.UUID
	}
}

// checkRuns: each run says what became of it, and none is doubled.
func (w *simulation) checkRuns(runs []*shield.Run, tasks []*shield.Task) {
	w.t.Helper()
	byUUID := map[string]*shield.Task{}
	for _, t := range tasks {
		byUUID[t.UUID] = t
	}
	want := map[shield.TaskStatus]shield.RunStatus{
		shield.TaskPending: shield.RunStarted, shield.TaskRunning: shield.RunStarted,
		shield.TaskDone: shield.RunSucceeded, shield.TaskFailed: shield.RunFailed, shield.TaskCanceled: shield.RunFailed,
	}
	times, of := map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		name := r.Job + " " + r.DueAt.UTC().Format(time.RFC3339)
		if times[name] || r.Task != "" && of[r.Task] {
			w.t.Errorf("run %s is doubled", name)
		}
		times[name] = true
		switch {
		case r.Task != "":
			of[r.Task] = true
			if t := byUUID[r.Task]; t == nil || want[t.Status] != r.Status {
				w.t.Errorf("run %s is %s, its task %+v", name, r.Status, t)
			}
		case r.Status == shield.RunStarted || r.Status == shield.RunSucceeded:
			w.t.Errorf("run %s is %s without a task", name, r.Status)
		case r.Status.Final() && r.Reason == "":
			w.t.Errorf("run %s was %s for no reason", name, r.Status)
		}
	}
	for _, t := range tasks {
		if t.Op == shield.OpBackup && t.Owner == "system" && !of[t.UUID] {
			w.t.Errorf("backup %s of job %s belongs to no run", t.UUID, t.JobName)
		}
	}
}

// checkLedger: each time of each schedule is in the ledger, as soon as a
// scheduler was left alone for a while.
func (w *simulation) checkLedger(runs []*shield.Run) {
	w.t.Helper()
	weather, outage := w.now()
	if weather.catalog > 0 || time.Now().Before(outage.until) || len(w.processes) == 0 || w.processes[0].dead.Load() {
		w.calm = time.Now()
	}
	for _, j := range w.jobs { // the least that the clock showed since then
		if now := w.clock(); now.Before(j.seen) {
			j.seen = now
		}
	}
	in := map[string]shield.RunStatus{}
	for _, r := range runs {
		in[r.Job+" "+r.DueAt.UTC().Format(time.RFC3339)] = r.Status
	}
	for name := range w.demanded {
		if _, ok := in[name]; !ok {
			w.t.Errorf("the run of job %s is not in the ledger any more", name)
		}
	}
	if time.Since(w.calm) < 6*time.Minute {
		return
	}
	now := w.clock().Add(-2 * time.Minute)
	for _, j := range w.jobs {
		s := w.scheduleOf(j)
		var due []time.Time
		n, from := 0, j.seen
		if j.to.Before(from) {
			from = j.to
		}
		for next := s.Next(from, j.UUID); !j.from.IsZero() && !next.After(now); next = s.Next(next, j.UUID) {
			if n++; next.After(j.to) {
				due = append(due, next)
			}
		}
		if n > 90 { // more than one catch-up records
			j.from, due = time.Time{}, nil
		}
		j.seen = now
		for _, at := range due {
			name := j.UUID + " " + at.UTC().Format(time.RFC3339)
			if status, ok := in[name]; !ok || status == shield.RunDue {
				w.t.Errorf("job %s (%s): the run due at %s is unaccounted: %q; from %s to %s", j.Name, s.Spec, at.UTC(), status, j.from, j.to)
			}
			w.demanded[name] = true
		}
		if j.from.IsZero() && time.Since(j.changed) > 6*time.Minute {
			j.from, j.to = w.clock(), w.clock()
		}
		if now.After(j.to) {
			j.to = now
		}
	}
}

// checkEnd looks at what must hold when all has ended.
func (w *simulation) checkEnd() {
	w.t.Helper()
	ctx := w.t.Context()
	for _, r := range must[[]*shield.Run](w.t)(w.db.Runs(ctx, shield.Filter{})) {
		if r.Status == shield.RunStarted || r.Status == shield.RunDue && r.DueAt.Before(w.clock().Add(-time.Minute)) {
			w.t.Errorf("the run of job %s due at %s is still %s", r.Job, r.DueAt, r.Status)
		}
	}
	want := map[string]bool{}
	archives := must[[]*shield.Archive](w.t)(w.db.Archives(ctx, shield.Filter{}))
	newest := map[string]bool{}
	for _, a := range archives {
		if a.Status == shield.ArchiveValid {
			want[a.StoreName+" "+a.Key], want[a.StoreName+" "+a.ManifestKey] = true, true
			newest[a.Target] = true
			w.restore(a)
		}
	}
	for _, a := range archives {
		if !newest[a.Target] && !w.lost[a.Target] {
			w.t.Errorf("target %s had archives and has none", a.TargetName)
			newest[a.Target] = true
		}
	}
	for _, store := range []string{"s0", "s1"} {
		for _, key := range w.memory.Keys(store) {
			if !want[store+" "+key] && !strings.HasPrefix(key, "shield-test/") {
				w.t.Errorf("store %s has %s, which is of no archive", store, key)
			}
		}
	}
}

// restore gives an archive back, without faults, and compares.
func (w *simulation) restore(a *shield.Archive) {
	w.t.Helper()
	plugins := plugin.NewRegistry()
	w.ok(plugins.Register("memory", w.memory))
	t := &shield.Task{
		UUID: uuid.NewString(), Op: shield.OpRestore, Archive: a.UUID, Key: a.Key, ManifestKey: a.ManifestKey, Expected: a,
		TargetName: "end", TargetPlugin: "memory", TargetEndpoint: place("end"),
		StoreName: a.StoreName, StorePlugin: "memory", StoreEndpoint: place(a.StoreName),
	}
	_, err := task.NewRunner(plugins, w.opts).Run(context.Background(), t, quiet{})
	got, _ := w.memory.Target("end")
	if err != nil || digestOf(got) != a.RawDigest {
		w.t.Errorf("archive %s cannot be restored: %v", a.UUID, err)
	}
}

type quiet struct{}

func (quiet) Log(shield.Source, string) {}
func (quiet) Progress(shield.Progress)  {}

// list is all that has not ended.
func (w *simulation) list() string {
	var b bytes.Buffer
	for _, t := range must[[]*shield.Task](w.t)(w.db.Tasks(w.t.Context(), shield.Filter{})) {
		if !t.Status.Final() {
			fmt.Fprintf(&b, "%s %s %s, not before %s, %d attempts: %s\n", t.Op, t.UUID, t.Status, t.NotBefore, t.Attempts, t.Error)
		}
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
