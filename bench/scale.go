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

// A scaleBench is a benchmark of the packages themselves, which fills a
// catalog as large as shield is meant for. -only finds it as scale/NAME.
type scaleBench struct {
	name, pkg, bench string
	time             string // of -benchtime
	goals            []scaleGoal
}

// A scaleGoal is what a metric may be at most. The name of a metric is the
// unit that the benchmark reports it by or, for the time of an operation, the
// benchmark's own.
type scaleGoal struct {
	what, metric string
	most         float64 // 0: none
	unit         string
	per          float64 // how many of the metric's make one of the unit
	against      string  // the metric of a peer: the figure is the multiple of it
}

var scaleBenches = []scaleBench{
	{"ticks", "./scheduler", "^BenchmarkScale$", "1x", []scaleGoal{
		{"a tick with nothing due, which also plans, sweeps and judges: median", "idle-tick-ms", 5, "ms", 1, ""},
		{"the same: 99 of 100", "idle-tick-p99-ms", 0, "ms", 1, ""},
		{"a tick that starts 1,000 runs", "due-tick-ms", 500, "ms", 1, ""},
		{"a claim of one of 1,000 tasks: median", "claim-ms", 2, "ms", 1, ""},
		{"retention over all archives, of which it gives up a tenth", "retention-ms", 30, "s", 1000, ""},
		{"meanwhile, a list of 50 archives: 99 of 100", "read-p99-ms", 0, "ms", 1, ""},
		{"meanwhile, a commit: 99 of 100", "write-p99-ms", 0, "ms", 1, ""},
		{"to look at the schedules of all jobs after a start", "first-plan-ms", 0, "s", 1000, ""},
	}},
	{"claim", "./catalog", "^BenchmarkClaim$", "1s", []scaleGoal{
		{"a claim from 20,000 pending tasks", "Claim/20000", 2, "ms", 1e6, ""},
		{"a claim behind 5,000 tasks of a busy job", "Claim/5000-blocked", 2, "ms", 1e6, ""},
		{"a claim behind 5,000 tasks that wait for an attempt", "Claim/5000-waiting", 2, "ms", 1e6, ""},
	}},
	{"next", "./scheduler/timespec", "^BenchmarkNext$/^daily$", "1s", []scaleGoal{
		{"next run of a daily schedule in UTC, against robfig/cron", "Next/daily/UTC/timespec", 1, "x", 1, "Next/daily/UTC/robfig"},
		{"next run of a daily schedule in New York, against robfig/cron", "Next/daily/NewYork/timespec", 1, "x", 1, "Next/daily/NewYork/robfig"},
	}},
	{"lists", "./server", "^BenchmarkLists$/^100_a_second$", "3000x", []scaleGoal{
		{"lists over HTTP, 100 requests a second, of 100,000 archives and 10,000 jobs: 99 of 100", "p99-ms", 50, "ms", 1, ""},
		{"what the heap has grown by after 3,000 of these", "heap-grown-MiB", 8, "MiB", 1, ""},
		{"the heap before", "heap-start-MiB", 0, "MiB", 1, ""},
		{"the heap afterwards", "heap-end-MiB", 0, "MiB", 1, ""},
		{"memory of the process before", "rss-start-MiB", 0, "MiB", 1, ""},
		{"memory of the process afterwards", "rss-end-MiB", 0, "MiB", 1, ""},
	}},
}

// A scaleResult is what a benchmark has reported, by the names of metrics.
type scaleResult struct {
	scaleBench
	metrics map[string]float64
}

// measureScale runs the benchmarks that -only asks for, on the disk of the
// folder for temporary files: what a commit costs is a part of the figures.
func (b *bench) measureScale(ctx context.Context) error {
	for _, s := range scaleBenches {
		if !b.only.MatchString("scale/" + s.name) {
			continue
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", s.bench, "-benchtime", s.time, "-timeout", "1h", s.pkg)
		out, err := cmd.CombinedOutput()
		r := scaleResult{s, scaleMetrics(string(out))}
		if err == nil && len(r.metrics) == 0 {
			err = fmt.Errorf("no figures")
		}
		if err != nil {
			b.fail("scale/%s: %v: %s", s.name, err, tail(string(out)))
			continue
		}
		fmt.Fprintf(os.Stderr, "scale/%s: %v\n", s.name, r.metrics)
		b.report.scale = append(b.report.scale, r)
	}
	return ctx.Err()
}

var (
	benchLine  = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)
	benchValue = regexp.MustCompile(`(\S+) (\S+)`)
)

// scaleMetrics takes the figures from what benchmarks printed.
func scaleMetrics(out string) map[string]float64 {
	metrics := map[string]float64{}
	for _, line := range benchLine.FindAllStringSubmatch(out, -1) {
		for _, v := range benchValue.FindAllStringSubmatch(line[2], -1) {
			n, err := strconv.ParseFloat(v[1], 64)
			switch {
			case err != nil:
			case v[2] == "ns/op":
				metrics[line[1]] = n
			default:
				metrics[v[2]] = n
			}
		}
	}
	return metrics
}

// scaleMarkdown returns the part about scale, or nothing.
func (r *report) scaleMarkdown() string {
	var w strings.Builder
	if len(r.scale) == 0 {
		return ""
	}
	w.WriteString("\n")
	for _, line := range r.machine {
		if !strings.HasPrefix(line, "all files on") { // which holds for the others
			fmt.Fprintf(&w, "- %s\n", line)
		}
	}
	w.WriteString("\n")
	header(&w, "what", "goal", "measured", "reached")
	for _, x := range r.scale {
		for _, g := range x.goals {
			if v, ok := x.metrics[g.metric]; ok {
				scaleRow(&w, g, v, x.metrics[g.against])
			}
		}
	}
	w.WriteString("\n")
	return w.String()
}

func scaleRow(w *strings.Builder, g scaleGoal, v, peer float64) {
	v /= g.per
	if g.against != "" {
		v /= peer
	}
	show := fmt.Sprintf("%.2f %s", v, g.unit)
	switch {
	case g.most == 0:
		row(w, g.what, "", show, "")
	case g.against != "":
		row(w, g.what, fmt.Sprintf("at most %.2f%s", g.most, g.unit), fmt.Sprintf("%.2f%s", v, g.unit), yes(v <= g.most))
	default:
		row(w, g.what, fmt.Sprintf("under %g %s", g.most, g.unit), show, yes(v < g.most))
	}
}
