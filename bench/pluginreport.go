package main

import (
	"fmt"
	"slices"
	"strings"
)

// pluginMarkdown returns the part about plugins, or nothing.
func (r *report) pluginMarkdown() string {
	var w strings.Builder
	if len(r.plugins) == 0 {
		return ""
	}
	w.WriteString("\n")
	for _, line := range r.machine {
		fmt.Fprintf(&w, "- %s\n", line)
	}
	w.WriteString("\n### The same source as a program and as a module\n\n")
	header(&w, "what", "MB", "program MB/s", "CPU s", "module MB/s", "CPU s", "throughput", "goal", "reached", "CPU", "goal", "reached")
	var seen []*load
	for _, x := range r.plugins {
		if !slices.Contains(seen, x.load) {
			seen = append(seen, x.load)
			r.loadRow(&w, x.load)
		}
	}
	if r.instances.soak > 0 {
		r.instances.table(&w)
	}
	w.WriteString("\n")
	return w.String()
}

func (r *report) loadRow(w *strings.Builder, l *load) {
	var rounds []pluginResult
	for _, x := range r.plugins {
		if x.load == l {
			rounds = append(rounds, x)
		}
	}
	speed := func(of func(pluginResult) cost) string {
		return fmt.Sprintf("%.0f", median(rounds, func(x pluginResult) float64 { return float64(l.size) / 1e6 / of(x).wall.Seconds() }))
	}
	used := func(of func(pluginResult) cost) string {
		return fmt.Sprintf("%.2f", median(rounds, func(x pluginResult) float64 { return of(x).cpu.Seconds() }))
	}
	native, module := func(x pluginResult) cost { return x.native }, func(x pluginResult) cost { return x.module }
	put := median(rounds, func(x pluginResult) float64 { return x.native.wall.Seconds() / x.module.wall.Seconds() })
	cpu := median(rounds, func(x pluginResult) float64 { return x.module.cpu.Seconds() / x.native.cpu.Seconds() })
	goal := func(sign string, bound float64, reached bool) []string {
		if bound == 0 {
			return []string{"", ""}
		}
		return []string{fmt.Sprintf("at %s %.1fx", sign, bound), yes(reached)}
	}
	row(w, slices.Concat(
		[]string{l.what, megabytes(l.size), speed(native), used(native), speed(module), used(module), fmt.Sprintf("%.2fx", put)},
		goal("least", l.leastPut, put >= l.leastPut), []string{fmt.Sprintf("%.2fx", cpu)}, goal("most", l.mostCPU, cpu <= l.mostCPU))...)
}

func (i *instances) table(w *strings.Builder) {
	w.WriteString("\n### Instances\n\n")
	header(w, "what", "goal", "measured", "reached")
	for _, c := range i.calls {
		row(w, "CPU of a call that does next to nothing, "+c.module, fmt.Sprintf("under %d ms", mostCall.Milliseconds()),
			fmt.Sprintf("%.1f ms", millis(c.cpu)), yes(c.cpu < mostCall))
	}
	mib := func(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
	row(w, "memory of an instance that waits for input", "at most "+mib(mostInstance), mib(i.memory), yes(i.memory <= mostInstance))
	what := fmt.Sprintf("growth in %d calls of fs: ", i.soak)
	grown := i.after.rss - i.before.rss
	row(w, what+"memory", "at most "+mib(mostGrowth), mib(grown), yes(grown <= mostGrowth))
	for _, c := range []struct {
		name          string
		before, after int
	}{
		{"goroutines", i.before.goroutines, i.after.goroutines},
		{"descriptors", i.before.descriptors, i.after.descriptors},
	} {
		row(w, what+c.name, "none", fmt.Sprint(c.after-c.before), yes(c.after <= c.before))
	}
}
