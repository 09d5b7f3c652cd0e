package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// systems are the data systems and stores whose plugins' own benchmarks
// compare shield with what else there is for them. -only finds them as
// system/NAME.
var systems = []system{
	{name: "postgres", peer: "pg_dump, zstd, age", goals: pipeGoals},
	{name: "mysql", peer: "mariadb-dump, zstd, age", goals: pipeGoals},
	{name: "mongo", peer: "mongodump, zstd, age", goals: pipeGoals},
	{name: "redis", peer: "redis-cli --rdb, zstd, age", goals: pipeGoals},
	{name: "s3", peer: "rclone", bench: "Peers/rclone", twice: true, goals: storeGoals},
	{name: "s3", peer: "restic", bench: "Peers/restic", twice: true, goals: storeGoals},
}

type system struct {
	name, peer string
	bench      string // Pipe if empty
	twice      bool   // has twice as much data
	goals      map[string]float64
}

// What shield may take at most, as a multiple of what the peer takes.
var (
	pipeGoals  = map[string]float64{"wall": 1.05, "cpu": 1.10}
	storeGoals = map[string]float64{"wall": 1, "cpu": 1}
)

// A systemResult is what a plugin's benchmark reports: seconds and multiples by
// the name of the metric, like backup-wall-s and backup-wall-x.
type systemResult struct {
	system
	size    int64
	metrics map[string]float64
}

// measureSystems runs the benchmarks that -only asks for, on the same disk as
// all else. Their servers are those of the tests.
func (b *bench) measureSystems(ctx context.Context) error {
	for _, s := range systems {
		if !b.only.MatchString("system/" + s.name) {
			continue
		}
		r, err := b.measureSystem(ctx, s)
		if err != nil {
			b.fail("system/%s: %v", s.name, err)
			continue
		}
		fmt.Fprintf(os.Stderr, "%s against %s: %v\n", s.name, s.peer, r.metrics)
		b.report.systems = append(b.report.systems, r)
	}
	return ctx.Err()
}

func (b *bench) measureSystem(ctx context.Context, s system) (systemResult, error) {
	r := systemResult{system: s, size: b.size, metrics: map[string]float64{}}
	if s.twice {
		r.size *= 2
	}
	which := s.bench
	if which == "" {
		which = "Pipe"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark"+strings.ReplaceAll(which, "/", "$/^")+"$",
		"-benchtime", fmt.Sprintf("%dx", b.rounds), "-timeout", "2h", fmt.Sprintf("./plugins-wasm/%[1]s/%[1]s", s.name))
	cmd.Env = append(os.Environ(), "TMPDIR="+b.dir, fmt.Sprintf("SHIELD_BENCH_SIZE=%d", r.size))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, tail(string(out)))
	}
	return r, r.read(string(out))
}

// read takes the figures from what a benchmark printed.
func (r *systemResult) read(out string) error {
	all := metric.FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return fmt.Errorf("no figures: %s", tail(out))
	}
	for _, m := range all {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return err
		}
		r.metrics[m[2]] = n
	}
	return nil
}

var metric = regexp.MustCompile(`(\S+) ((?:backup|restore)-(?:wall|cpu)-[sx])`)

// systemMarkdown returns the part about systems, or nothing.
func (r *report) systemMarkdown() string {
	var w strings.Builder
	if len(r.systems) == 0 {
		return ""
	}
	w.WriteString("\n")
	for _, line := range r.machine {
		fmt.Fprintf(&w, "- %s\n", line)
	}
	w.WriteString("\n")
	header(&w, "plugin", "against", "MB", "what", "s", "of the peer's", "goal", "reached", "CPU s", "of the peer's", "goal", "reached")
	for _, x := range r.systems {
		for _, what := range []string{"backup", "restore"} {
			if _, measured := x.metrics[what+"-wall-x"]; !measured {
				continue
			}
			cells := []string{x.name, x.peer, megabytes(x.size), what}
			for _, unit := range []string{"wall", "cpu"} {
				times := x.metrics[what+"-"+unit+"-x"]
				cells = append(cells, fmt.Sprintf("%.2f", x.metrics[what+"-"+unit+"-s"]), fmt.Sprintf("%.2fx", times),
					fmt.Sprintf("at most %.2fx", x.goals[unit]), yes(times <= x.goals[unit]))
			}
			row(&w, cells...)
		}
	}
	w.WriteString("\n")
	return w.String()
}
