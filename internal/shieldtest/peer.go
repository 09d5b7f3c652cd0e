//go:build linux

package shieldtest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield/plugin"
)

// BenchSize is about how many bytes a benchmark's data has: SHIELD_BENCH_SIZE,
// like 1GiB, or 64 MiB.
func BenchSize() int64 {
	size, err := plugin.ParseBytes(os.Getenv("SHIELD_BENCH_SIZE"))
	if err != nil {
		return 64 << 20
	}
	return size
}

// A Peer is what an administrator would use in place of shield, as scripts for
// bash. They may keep things in the folder SCRATCH.
type Peer struct {
	System *System
	Job    string // of the same data, into a store on the same disk or server
	To     string // the target that is restored to; the job's own if empty

	Env     []string
	Setup   string // is run once
	Backup  string
	Restore string // empty if the peer cannot
	Prepare string // is run before each restore, the peer's and shield's
}

// Piped returns the peer that is a pipe of other programs: a script that dumps,
// zstd and age, and the way back into a script that loads, unless that is
// empty.
func Piped(dump, load string) *Peer {
	p := &Peer{
		Setup:  "age-keygen -o $SCRATCH/key 2>/dev/null",
		Backup: dump + ` | zstd -1 -q | age -r "$(age-keygen -y $SCRATCH/key)" >$SCRATCH/blob`,
	}
	if load != "" {
		p.Restore = "age -d -i $SCRATCH/key $SCRATCH/blob | zstd -d -q | " + load
	}
	return p
}

// Bench measures both in turn and reports medians: what shield takes, and how
// many times as much that is. Processor time is that of all but the data
// system or the server of the store. Run it with -benchtime=3x.
func (p *Peer) Bench(b *testing.B) {
	b.Helper()
	dir := b.TempDir()
	script := func(text string) spending {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", text)
		cmd.Env = append(append(os.Environ(), "SCRATCH="+dir), p.Env...)
		return spend(b, cmd)
	}
	shield := func(args ...string) spending {
		before := processor(b, p.System.Pid())
		s := spend(b, p.System.Command(args...))
		s.cpu += processor(b, p.System.Pid()) - before
		return s
	}
	prepare := func() {
		if p.Prepare != "" {
			script(p.Prepare)
		}
		syscall.Sync() // what others have written is not this one's
	}
	if p.Setup != "" {
		script(p.Setup)
	}
	archive := p.System.Backup(p.Job) // which also compiles the module
	to := cmp.Or(p.To, archive.Target)
	restore := []string{"restore", "archive", archive.UUID, "--wait", "--to", to, "--confirm", to}
	var backups, restores [2][]spending // of the peer, of shield
	for b.Loop() {
		syscall.Sync()
		backups[0] = append(backups[0], script(p.Backup))
		syscall.Sync()
		backups[1] = append(backups[1], shield("run", "job", p.Job, "--wait"))
		if p.Restore != "" {
			prepare()
			restores[0] = append(restores[0], script(p.Restore))
			prepare()
			restores[1] = append(restores[1], shield(restore...))
		}
	}
	b.ReportMetric(0, "ns/op")
	compare(b, "backup", backups)
	if p.Restore != "" {
		compare(b, "restore", restores)
	}
}

// A spending is what something took.
type spending struct{ wall, cpu time.Duration }

func spend(b *testing.B, cmd *exec.Cmd) spending {
	b.Helper()
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return spending{time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

func compare(b *testing.B, what string, of [2][]spending) {
	for unit, f := range map[string]func(spending) float64{
		"wall": func(s spending) float64 { return s.wall.Seconds() }, "cpu": func(s spending) float64 { return s.cpu.Seconds() },
	} {
		ratios := make([]float64, len(of[0]))
		for i := range ratios {
			ratios[i] = f(of[1][i]) / f(of[0][i])
		}
		b.ReportMetric(middle(ratios), what+"-"+unit+"-x")
		seconds := make([]float64, len(of[1]))
		for i, s := range of[1] {
			seconds[i] = f(s)
		}
		b.ReportMetric(middle(seconds), what+"-"+unit+"-s")
	}
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return (v[len(v)/2] + v[(len(v)-1)/2]) / 2
}

// processor is the processor time of a process and of its children that ended.
func processor(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// The name, in parentheses, may hold anything; what follows it begins
	// with the third field, and the times are fields 14 to 17.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:15] {
		var n int64
		if _, err := fmt.Sscan(f, &n); err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}
