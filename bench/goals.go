package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A ratio is a goal that compares shield with a peer on each set.
type ratio struct {
	what  string
	peer  string
	bound float64
	most  bool // the bound is an upper one
	of    func(ours, theirs result) float64
}

func backupSpeed(ours, theirs result) float64 {
	return theirs.backup.wall.Seconds() / ours.backup.wall.Seconds()
}

func restoreSpeed(ours, theirs result) float64 {
	return theirs.restore.wall.Seconds() / ours.restore.wall.Seconds()
}

func backupCPU(ours, theirs result) float64 {
	return ours.backup.cpu.Seconds() / theirs.backup.cpu.Seconds()
}

var ratios = []ratio{
	{"backup throughput", "shell", 0.85, false, backupSpeed},
	{"restore throughput", "shell", 1.2, false, restoreSpeed},
	{"backup throughput", "restic", 3, false, backupSpeed},
	{"backup CPU", "restic", 1. / 3, true, backupCPU},
	{"restore throughput", "restic", 3, false, restoreSpeed},
	{"backup throughput", "borg", 3, false, backupSpeed},
}

// The goals that are not ratios.
const (
	mostMemory    = 160 // MiB
	mostStart     = 300 * time.Millisecond
	mostFirstByte = 100 * time.Millisecond
)

// goalTable holds what was measured against what is wanted.
func (r *report) goalTable(w *strings.Builder) {
	w.WriteString("\n### Goals\n\n")
	header(w, "what", "set", "goal", "measured", "reached")
	for _, g := range ratios {
		for _, s := range r.sets {
			if v, ok := r.ratio(g, s.name); ok {
				sign, reached := "at least", v >= g.bound
				if g.most {
					sign, reached = "at most", v <= g.bound
				}
				row(w, g.what+" against "+g.peer, s.name, fmt.Sprintf("%s %.2fx", sign, g.bound), fmt.Sprintf("%.2fx", v), yes(reached))
			}
		}
	}
	if peak := r.peak(); peak > 0 {
		row(w, "peak memory of the daemon", "all", fmt.Sprintf("at most %d MiB", mostMemory), fmt.Sprintf("%d MiB", peak>>20), yes(peak <= mostMemory<<20))
	}
	delay := func(what string, goal time.Duration, took []time.Duration) {
		if len(took) > 0 {
			m := median(took, millis)
			row(w, what, "", fmt.Sprintf("under %d ms", goal.Milliseconds()), fmt.Sprintf("%.0f ms", m), yes(m < millis(goal)))
		}
	}
	delay("first start of the daemon", mostStart, r.firstStart)
	delay("further start of the daemon", mostStart, r.nextStart)
	delay("run request to first byte", mostFirstByte, r.firstByte)
}

// ratio returns the median over the rounds that both have ended: the speed
// of a machine drifts, and less so within a round than between rounds.
func (r *report) ratio(g ratio, set string) (float64, bool) {
	ours, theirs := r.of(set, "shield"), r.of(set, g.peer)
	n := min(len(ours), len(theirs))
	if n == 0 {
		return 0, false
	}
	rounds := make([]float64, n)
	for i := range rounds {
		rounds[i] = g.of(ours[i], theirs[i])
	}
	return median(rounds, func(v float64) float64 { return v }), true
}

// peak is the most memory that the daemon ever had.
func (r *report) peak() int64 {
	var peaks []int64
	for _, m := range r.memory {
		peaks = append(peaks, m.peak)
	}
	for _, x := range r.results {
		if x.contender == "shield" {
			peaks = append(peaks, x.backup.rss, x.restore.rss)
		}
	}
	return slices.Max(append(peaks, 0))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}
