package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A report is what was measured.
type report struct {
	machine    []string
	sets       []setInfo
	results    []result
	firstStart []time.Duration
	nextStart  []time.Duration
	firstByte  []time.Duration
	memory     []memory
	plugins    []pluginResult
	instances  instances
	systems    []systemResult
	scale      []scaleResult
	agents     agentResults
	failures   []string
}

type setInfo struct {
	name, about string
	size        int64
	files       int
}

// memory is the daemon's peak after a backup and a restore of some size.
type memory struct{ size, peak int64 }

// A part of the page is generated, and stands between two markers.
type part string

const (
	partPeers   part = "bench"
	partPlugins part = "bench-plugins"
	partSystems part = "bench-systems"
	partScale   part = "bench-scale"
	partAgents  part = "bench-agents"
)

// splice returns a page with the part between its markers replaced.
func splice(page []byte, p part, text string) ([]byte, error) {
	begin, end := fmt.Sprintf("<!-- %s:begin -->\n", p), fmt.Sprintf("<!-- %s:end -->\n", p)
	head, rest, ok := bytes.Cut(page, []byte(begin))
	_, foot, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, fmt.Errorf("the markers %q and %q are not both there", begin, end)
	}
	return slices.Concat(head, []byte(begin+text+end), foot), nil
}

// parts are what was measured, as text.
func (r *report) parts() map[part]string {
	parts := map[part]string{}
	if text := r.pluginMarkdown(); text != "" {
		parts[partPlugins] = text
	}
	if text := r.systemMarkdown(); text != "" {
		parts[partSystems] = text
	}
	if text := r.scaleMarkdown(); text != "" {
		parts[partScale] = text
	}
	if text := r.agentMarkdown(); text != "" {
		parts[partAgents] = text
	}
	if len(r.results)+len(r.firstStart)+len(r.firstByte)+len(r.memory) > 0 || len(parts) == 0 {
		parts[partPeers] = r.markdown()
	}
	return parts
}

func (r *report) markdown() string {
	var w strings.Builder
	w.WriteString("\n")
	for _, line := range r.machine {
		fmt.Fprintf(&w, "- %s\n", line)
	}
	r.goalTable(&w)
	for _, s := range r.sets {
		r.setTable(&w, s)
	}
	r.latencyTable(&w)
	r.memoryTable(&w)
	if len(r.failures) > 0 {
		w.WriteString("\n### Failures\n\n")
		for _, f := range r.failures {
			fmt.Fprintf(&w, "- %s\n", strings.ReplaceAll(f, "\n", " "))
		}
	}
	w.WriteString("\n")
	return w.String()
}

// of returns the rounds of one contender on one set.
func (r *report) of(set, contender string) []result {
	var out []result
	for _, x := range r.results {
		if x.set == set && x.contender == contender {
			out = append(out, x)
		}
	}
	return out
}

func (r *report) setTable(w *strings.Builder, s setInfo) {
	fmt.Fprintf(w, "\n### %s: %s, %s MB, %d files\n\n", s.name, s.about, megabytes(s.size), s.files)
	header(w, "contender", "backup s", "MB/s", "CPU s", "peak MiB", "stored MB", "restore s", "MB/s", "CPU s", "peak MiB")
	var seen []string
	for _, x := range r.results {
		if x.set != s.name || slices.Contains(seen, x.contender) {
			continue
		}
		seen = append(seen, x.contender)
		rounds := r.of(s.name, x.contender)
		stored := median(rounds, func(x result) float64 { return float64(x.stored) })
		row(w, slices.Concat([]string{x.contender}, costCells(rounds, backupOf), []string{megabytes(int64(stored))}, costCells(rounds, restoreOf))...)
	}
}

func backupOf(x result) cost  { return x.backup }
func restoreOf(x result) cost { return x.restore }

func costCells(rounds []result, of func(result) cost) []string {
	wall := func(x result) float64 { return of(x).wall.Seconds() }
	return []string{
		spread(rounds, wall),
		fmt.Sprintf("%.0f", median(rounds, func(x result) float64 { return float64(x.size) / 1e6 / wall(x) })),
		fmt.Sprintf("%.2f", median(rounds, func(x result) float64 { return of(x).cpu.Seconds() })),
		fmt.Sprintf("%.0f", median(rounds, func(x result) float64 { return float64(of(x).rss) / (1 << 20) })),
	}
}

func (r *report) latencyTable(w *strings.Builder) {
	if len(r.firstStart)+len(r.firstByte) == 0 {
		return
	}
	w.WriteString("\n### Delays\n\n")
	header(w, "what", "median ms", "least", "most")
	for _, d := range []struct {
		name string
		took []time.Duration
	}{
		{"first start of shieldd, until it listens", r.firstStart},
		{"further start of shieldd, until it listens", r.nextStart},
		{"request to run a job, until the first byte is in the store", r.firstByte},
	} {
		if len(d.took) > 0 {
			row(w, d.name, fmt.Sprintf("%.0f", median(d.took, millis)), fmt.Sprintf("%.0f", millis(slices.Min(d.took))), fmt.Sprintf("%.0f", millis(slices.Max(d.took))))
		}
	}
}

func (r *report) memoryTable(w *strings.Builder) {
	if len(r.memory) == 0 {
		return
	}
	w.WriteString("\n### Memory of the daemon, by the size of what it backs up and restores\n\n")
	header(w, "text MB", "peak MiB")
	for _, m := range r.memory {
		row(w, megabytes(m.size), fmt.Sprint(m.peak>>20))
	}
}

func header(w *strings.Builder, cells ...string) {
	row(w, cells...)
	fmt.Fprintf(w, "| --- |%s\n", strings.Repeat(" ---: |", len(cells)-1))
}

func row(w *strings.Builder, cells ...string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/1e6) }

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }

// median is that of f over all of s.
func median[T any](s []T, f func(T) float64) float64 {
	v := sorted(s, f)
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

// spread shows the median, and the range if there is one.
func spread[T any](s []T, f func(T) float64) string {
	v := sorted(s, f)
	if len(v) == 1 {
		return fmt.Sprintf("%.2f", v[0])
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(s, f), v[0], v[len(v)-1])
}

func sorted[T any](s []T, f func(T) float64) []float64 {
	v := make([]float64, len(s))
	for i, x := range s {
		v[i] = f(x)
	}
	slices.Sort(v)
	return v
}
