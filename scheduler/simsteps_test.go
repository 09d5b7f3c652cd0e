package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// simSteps are what happens in a world. Those that ask a scheduler find one
// that is alive.
var simSteps = []struct {
	name   string
	weight int
	alive  bool
	do     func(w *simulation)
}{
	{"nothing", 6, false, func(*simulation) {}},
	{"weather", 3, false, (*simulation).changeWeather},
	{"outage", 3, false, (*simulation).breakCatalog},
	{"clock", 2, false, (*simulation).setClock},
	{"content", 3, false, (*simulation).fillTarget},
	{"crash", 3, true, func(w *simulation) { w.anyProcess().kill() }},
	{"fuse", 6, true, func(w *simulation) { w.anyProcess().fuse.Store(1 + w.r.Int64N(60)) }},
	{"stop", 2, true, func(w *simulation) { w.anyProcess().stop(pick(w.r, 0, time.Second, time.Minute)) }},
	{"backup", 4, true, (*simulation).submitBackup},
	{"restore", 3, true, (*simulation).submitRestore},
	{"purge", 2, true, (*simulation).submitPurge},
	{"test", 1, true, (*simulation).submitTests},
	{"cancel", 3, true, (*simulation).cancelTask},
	{"hold", 3, true, (*simulation).holdArchive},
	{"pause", 2, true, (*simulation).pauseJob},
	{"schedule", 2, true, (*simulation).changeSchedule},
	{"policy", 2, true, (*simulation).changePolicy},
	{"job", 1, true, (*simulation).addJob},
	{"delete", 1, true, (*simulation).deleteJob},
}

// step does something, and lets time pass.
func (w *simulation) step() {
	total := 0
	for _, s := range simSteps {
		total += s.weight
	}
	n := w.r.IntN(total)
	for _, s := range simSteps {
		if n -= s.weight; n < 0 {
			if s.alive && w.anyProcess() == nil {
				break
			}
			if s.name != "nothing" {
				w.note("step: %s", s.name)
			}
			s.do(w)
			break
		}
	}
	w.pass(between(w.r, 0, pick(w.r, time.Millisecond, time.Second, 20*time.Second, 5*time.Minute, 15*time.Minute)))
	if w.reap() && w.r.IntN(4) > 0 {
		w.calm = time.Now()
	}
	if len(w.processes) == 0 {
		if w.r.IntN(2) == 0 {
			w.pass(between(w.r, time.Second, pick(w.r, time.Minute, time.Hour, 12*time.Hour)))
		}
		w.startAll()
	}
}

// pass lets time pass, and whoever is ready then go on.
func (w *simulation) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *simulation) anyProcess() *process {
	var alive []*process
	for _, p := range w.processes {
		if !p.dead.Load() {
			alive = append(alive, p)
		}
	}
	if len(alive) == 0 {
		return nil
	}
	return alive[w.r.IntN(len(alive))]
}

func (w *simulation) changeWeather() {
	weather := w.someWeather()
	w.note("%+v", weather)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.weather = weather
}

func (w *simulation) breakCatalog() {
	o := outage{until: time.Now().Add(between(w.r, time.Second, pick(w.r, 10*time.Second, time.Minute, 10*time.Minute))), reads: w.r.IntN(2) == 0, beats: w.r.IntN(3) == 0}
	w.note("%+v", o)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outage = o
}

func (w *simulation) setClock() {
	d := pick(w.r, time.Hour, -time.Hour, time.Hour, -time.Hour, 24*time.Hour, -24*time.Hour, 90*time.Second, -90*time.Second)
	w.note("the clock is set by %s", d)
	if now := w.clock(); now.After(w.latest) {
		w.latest = now
	}
	w.ahead.Add(int64(d))
	w.calm = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set = time.Now()
}

// fillTarget gives a target other content.
func (w *simulation) fillTarget() {
	b := make([]byte, 1+w.r.IntN(pick(w.r, 100, 3000, 40_000)))
	for i := range b {
		b[i] = byte(w.r.Uint32())
	}
	w.mu.Lock()
	w.contents[digestOf(b)] = true
	w.mu.Unlock()
	w.memory.SetTarget(fmt.Sprintf("t%d", w.r.IntN(3)), b)
}

// tell has every scheduler know of a change, as the daemon's API does.
func (w *simulation) tell() {
	for _, p := range w.processes {
		p.sched.Changed()
	}
}

// submitted takes an answer to a request of a user: whatever fails says why.
func (w *simulation) submitted(t *shield.Task, err error) {
	if err != nil {
		w.note("refused: %v", err)
		return
	}
	w.note("submitted %s %s of archive %s", t.Op, t.UUID, t.Archive)
}

func (w *simulation) submitBackup() {
	jobs := must[[]*shield.Job](w.t)(w.db.Jobs(w.t.Context(), shield.Filter{}))
	if len(jobs) > 0 {
		w.submitted(w.anyProcess().sched.Submit(w.t.Context(), shield.Request{Op: shield.OpBackup, Job: pick(w.r, jobs...).UUID, Owner: "ann"}))
	}
}

func (w *simulation) valid() []*shield.Archive {
	return must[[]*shield.Archive](w.t)(w.db.Archives(w.t.Context(), shield.Filter{Statuses: []string{string(shield.ArchiveValid)}}))
}

func (w *simulation) submitRestore() {
	if all := w.valid(); len(all) > 0 {
		to, a := pick(w.r, "", "scratch"), pick(w.r, all...)
		confirm := ""
		if to == "" {
			confirm = a.TargetName
		}
		w.submitted(w.anyProcess().sched.Submit(w.t.Context(), shield.Request{Op: shield.OpRestore, Archive: a.UUID, Target: to, Confirm: confirm, Owner: "ann"}))
	}
}

func (w *simulation) submitPurge() {
	all := w.valid()
	if len(all) == 0 {
		return
	}
	a := pick(w.r, all...)
	w.mu.Lock()
	w.lost[a.Target] = true
	w.mu.Unlock()
	w.submitted(w.anyProcess().sched.Submit(w.t.Context(), shield.Request{Op: shield.OpPurge, Archive: a.UUID, Owner: "ann"}))
}

func (w *simulation) submitTests() {
	r := pick(w.r, shield.Request{Op: shield.OpTestStore, Store: "s0"}, shield.Request{Op: shield.OpTestTarget, Target: "t0"}, shield.Request{Op: shield.OpProbeTarget, Target: "t1"})
	w.submitted(w.anyProcess().sched.Submit(w.t.Context(), r))
}

func (w *simulation) cancelTask() {
	open := must[[]*shield.Task](w.t)(w.db.Tasks(w.t.Context(), shield.Filter{Statuses: []string{string(shield.TaskPending), string(shield.TaskRunning)}}))
	if len(open) > 0 {
		t := open[w.r.IntN(len(open))]
		if t.Op == shield.OpPurge && t.Archive == "" {
			return // nobody would purge what is left then
		}
		w.note("cancel %s %s: %v", t.Op, t.UUID, w.anyProcess().sched.Cancel(w.t.Context(), t.UUID))
	}
}

// holdArchive holds an archive, or releases it.
func (w *simulation) holdArchive() {
	if all := w.valid(); len(all) > 0 {
		a := pick(w.r, all...)
		w.hold(a, !a.Held)
	}
}

// hold does what the API does with what it has read.
func (w *simulation) hold(a *shield.Archive, held bool) {
	if held && a.Status != shield.ArchiveValid {
		return
	}
	w.user.Lock()
	defer w.user.Unlock()
	a = must[*shield.Archive](w.t)(w.db.Archive(context.Background(), a.UUID))
	a.Held = held
	a.Notes += "."
	if err := w.db.UpdateArchive(context.Background(), a); err != nil {
		w.note("refused: %v", err)
		return
	}
	w.note("archive %s is held: %v", a.UUID, a.Held)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[a.UUID] = a.Held
}

func (w *simulation) anyJob() *simJob {
	var ids []string
	for id := range w.jobs {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	slices.SortFunc(ids, func(a, b string) int { return int(w.jobs[a].CreatedAt.Sub(w.jobs[b].CreatedAt)) })
	return w.jobs[pick(w.r, ids...)]
}

func (w *simulation) pauseJob() {
	if s := w.anyJob(); s != nil {
		j := must[*shield.Job](w.t)(w.db.Job(w.t.Context(), s.UUID))
		j.Paused = !j.Paused
		w.ok(w.db.UpdateJob(w.t.Context(), j))
		w.note("job %s is paused: %v", j.Name, j.Paused)
		w.tell()
	}
}

func (w *simulation) someSchedule(s *shield.Schedule) {
	s.Timespec = pick(w.r, "every 5 minutes", "every 20 minutes", "every 20 minutes", "hourly at :15", "every 2 hours from 0:30", "daily 2:30", "daily 1:30", "*/7 * * * *")
	s.Timezone = pick(w.r, "", "Europe/Rome", "America/New_York", "Australia/Lord_Howe")
	s.Jitter = pick[int64](w.r, 0, 0, 30, 200)
	s.CatchUp = pick(w.r, "", shield.CatchUpOne, shield.CatchUpNone)
	s.Blackout = pick(w.r, nil, nil, []string{"daily 2:00 to 3:15"})
}

func (w *simulation) changeSchedule() {
	if j := w.anyJob(); j != nil {
		s := must[*shield.Schedule](w.t)(w.db.Schedule(w.t.Context(), j.Schedule))
		w.someSchedule(s)
		w.ok(w.db.UpdateSchedule(w.t.Context(), s))
		w.note("schedule %s: %s %s %v %s, jitter %d", s.Name, s.Timespec, s.Timezone, s.Blackout, s.CatchUp, s.Jitter)
		for _, o := range w.jobs {
			if o.Schedule == j.Schedule {
				o.from, o.changed = time.Time{}, time.Now()
			}
		}
		w.tell()
	}
}

func (w *simulation) somePolicy(p *shield.Policy) {
	p.Expiry = pick[int64](w.r, 600, 1800, 3600, 24*3600)
	p.KeepLast, p.KeepHourly, p.KeepDaily = pick(w.r, 0, 0, 2), pick(w.r, 0, 0, 3), pick(w.r, 0, 0, 2)
	p.MinValid = pick(w.r, 0, 0, 3)
	p.Timezone = pick(w.r, "", "Europe/Rome")
}

func (w *simulation) changePolicy() {
	if j := w.anyJob(); j != nil {
		p := must[*shield.Policy](w.t)(w.db.Policy(w.t.Context(), j.Policy))
		w.somePolicy(p)
		w.ok(w.db.UpdatePolicy(w.t.Context(), p))
		w.mu.Lock()
		w.ruled[p.UUID] = time.Now()
		w.mu.Unlock()
	}
}

// found makes what a world begins with.
func (w *simulation) found() {
	ctx := w.t.Context()
	for _, name := range []string{"t0", "t1", "t2", "scratch"} {
		w.ok(w.db.CreateTarget(ctx, &shield.Target{Meta: shield.Meta{Name: name}, Plugin: "memory", Endpoint: place(name), Scratch: name == "scratch"}))
	}
	for _, name := range []string{"s0", "s1"} {
		w.ok(w.db.CreateStore(ctx, &shield.Store{Meta: shield.Meta{Name: name}, Plugin: "memory", Endpoint: place(name)}))
	}
	for _, name := range []string{"p0", "p1"} {
		p := &shield.Policy{Meta: shield.Meta{Name: name}}
		w.somePolicy(p)
		w.ok(w.db.CreatePolicy(ctx, p))
		s := &shield.Schedule{Meta: shield.Meta{Name: name}}
		w.someSchedule(s)
		w.ok(w.db.CreateSchedule(ctx, s))
	}
	for range 12 {
		w.fillTarget()
	}
	for range 2 + w.r.IntN(2) {
		w.addJob()
	}
}

func place(name string) shield.Endpoint { return shield.Endpoint(fmt.Sprintf(`{"name":%q}`, name)) }

func (w *simulation) addJob() {
	if len(w.jobs) >= 5 {
		return
	}
	w.started++
	j := &shield.Job{
		Meta:   shield.Meta{Name: fmt.Sprintf("j%d", w.started)},
		Target: fmt.Sprintf("t%d", w.r.IntN(3)), Store: pick(w.r, "s0", "s1"), Schedule: pick(w.r, "p0", "p1"), Policy: pick(w.r, "p0", "p1"),
		Priority: w.r.IntN(100), Timeout: pick[int64](w.r, 0, 0, 120, 3600),
		Compression: pick(w.r, "none", "none", "none", "fastest", "raw"),
	}
	j.Unencrypted = j.Compression == "raw" || w.r.IntN(4) > 0
	r := w.draw("job")
	j.Overlap = pick(r, "", shield.OverlapSkip, shield.OverlapQueue, shield.OverlapReplace)
	j.Attempts, j.Backoff = pick(r, 0, 0, 2, 4), pick[int64](r, 0, 5, 120)
	w.ok(w.db.CreateJob(w.t.Context(), j))
	j = must[*shield.Job](w.t)(w.db.Job(w.t.Context(), j.UUID))
	w.note("job %s: target %s, store %s, schedule %s, policy %s, overlap %q, %d attempts", j.Name, j.TargetName, j.StoreName, j.ScheduleName, j.PolicyName, j.Overlap, j.Attempts)
	w.jobs[j.UUID] = &simJob{Job: j, changed: time.Now()}
	w.tell()
}

func (w *simulation) deleteJob() {
	j := w.anyJob()
	if j == nil || len(w.jobs) < 2 {
		return
	}
	err := w.db.DeleteJob(w.t.Context(), j.UUID)
	w.note("job %s is deleted: %v", j.Name, err)
	if err != nil && !errors.Is(err, shield.InUse) {
		w.fail("%v", err)
	}
	if err == nil {
		delete(w.jobs, j.UUID)
	}
	w.tell()
}

// settle ends all faults, sets a clock right that was set back, and waits until every task
// has ended.
func (w *simulation) settle() {
	w.note("the faults cease")
	w.mu.Lock()
	w.weather, w.outage = weather{}, outage{}
	w.mu.Unlock()
	for _, p := range w.processes {
		p.fuse.Store(0)
	}
	w.reap()
	if len(w.processes) == 0 {
		w.startAll()
	}
	w.calm = time.Now()
	if behind := w.latest.Sub(w.clock()); behind > 0 {
		w.note("the clock is set by %s", behind)
		w.ahead.Add(int64(behind))
	}
	for _, s := range w.jobs {
		j := must[*shield.Job](w.t)(w.db.Job(w.t.Context(), s.UUID))
		j.Paused = true
		w.ok(w.db.UpdateJob(w.t.Context(), j))
	}
	w.tell()
	for range 16 {
		w.pass(10 * time.Minute)
		w.check()
		if w.idle() {
			return
		}
	}
	w.fail("some tasks have not ended:\n%s", w.list())
}

// idle reports whether nothing is left to do.
func (w *simulation) idle() bool {
	ctx := w.t.Context()
	open := must[[]*shield.Task](w.t)(w.db.Tasks(ctx, shield.Filter{Statuses: []string{string(shield.TaskPending), string(shield.TaskRunning)}}))
	going := must[[]*shield.Archive](w.t)(w.db.Archives(ctx, shield.Filter{Statuses: []string{string(shield.ArchiveExpired), string(shield.ArchivePurging)}}))
	return len(open)+len(going) == 0
}

// scheduleOf is what the job's schedule is now.
func (w *simulation) scheduleOf(j *simJob) *timespec.Schedule {
	s := must[*shield.Schedule](w.t)(w.db.Schedule(context.Background(), j.Schedule))
	return must[*timespec.Schedule](w.t)(timespec.New(s))
}
