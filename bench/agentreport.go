package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// agentResults are what agents cost.
type agentResults struct {
	ways       []result // backups only
	dispatches []dispatch
	firstByte  []time.Duration
	idle       *idleCost
}

// The goals of agents.
const (
	leastDirect  = 0.95 // throughput against no agent
	mostRelay    = 2.5  // CPU s/GiB over that without an agent
	mostDispatch = 50 * time.Millisecond
	mostIdleRSS  = 150 // MiB
	mostIdleCPU  = 5.0 // per cent of a core
)

// agentMarkdown returns the part about agents, or nothing.
func (r *report) agentMarkdown() string {
	x := &r.agents
	var w strings.Builder
	if len(x.ways)+len(x.dispatches) == 0 && x.idle == nil {
		return ""
	}
	w.WriteString("\n")
	for _, line := range r.machine {
		fmt.Fprintf(&w, "- %s\n", line)
	}
	w.WriteString("\n")
	header(&w, "what", "goal", "measured", "reached")
	x.wayGoals(&w)
	x.dispatchGoals(&w)
	if x.idle != nil {
		x.idle.goals(&w)
	}
	x.wayTable(&w)
	w.WriteString("\n")
	return w.String()
}

func (x *agentResults) of(way string) []result {
	var out []result
	for _, r := range x.ways {
		if r.contender == way {
			out = append(out, r)
		}
	}
	return out
}

// against returns the median over the rounds of what f makes of a way and of
// the same backup without an agent.
func (x *agentResults) against(way string, f func(there, alone result) float64) float64 {
	alone, there := x.of("alone"), x.of(way)
	rounds := make([]float64, min(len(alone), len(there)))
	for i := range rounds {
		rounds[i] = f(there[i], alone[i])
	}
	return median(rounds, func(v float64) float64 { return v })
}

func (x *agentResults) wayGoals(w *strings.Builder) {
	if len(x.of("relay")) == 0 || len(x.of("direct")) == 0 {
		return
	}
	speed := x.against("direct", backupSpeed)
	row(w, "direct: throughput against no agent", fmt.Sprintf("at least %.2fx", leastDirect), fmt.Sprintf("%.2fx", speed), yes(speed >= leastDirect))
	more := x.against("relay", func(there, alone result) float64 {
		return (there.backup.cpu - alone.backup.cpu).Seconds() / (float64(there.size) / (1 << 30))
	})
	row(w, "relayed: CPU of both ends over that without an agent", fmt.Sprintf("at most %.1f s/GiB", mostRelay), fmt.Sprintf("%.2f s/GiB", more), yes(more <= mostRelay))
}

func (x *agentResults) dispatchGoals(w *strings.Builder) {
	if len(x.dispatches) == 0 {
		return
	}
	goal := fmt.Sprintf("under %d ms", mostDispatch.Milliseconds())
	request, claim := func(d dispatch) float64 { return millis(d.request) }, func(d dispatch) float64 { return millis(d.claim) }
	show := func(what, goal string, ms float64) {
		reached := ""
		if goal != "" {
			reached = yes(ms < millis(mostDispatch))
		}
		row(w, what, goal, fmt.Sprintf("%.1f ms", ms), reached)
	}
	show("run request until the agent has begun: median", goal, median(x.dispatches, request))
	show("the same: 99 of 100", goal, percentile(x.dispatches, 99, request))
	show("of it, since the daemon has claimed the task: median", "", median(x.dispatches, claim))
	if len(x.firstByte) > 0 {
		show("run request until the agent's first byte is in the store: median", "", median(x.firstByte, millis))
	}
}

// percentile is the least value that p of 100 do not exceed.
func percentile[T any](s []T, p int, f func(T) float64) float64 {
	v := sorted(s, f)
	return v[max(0, (len(v)*p+99)/100-1)]
}

func (c *idleCost) goals(w *strings.Builder) {
	mib := func(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
	who := fmt.Sprintf("%d idle agents: ", c.agents)
	row(w, who+"memory of the daemon over that without them", fmt.Sprintf("under %d MiB", mostIdleRSS), mib(c.rss), yes(c.rss < mostIdleRSS<<20))
	row(w, who+"CPU of the daemon", fmt.Sprintf("under %.0f %% of a core", mostIdleCPU), fmt.Sprintf("%.1f %%", 100*c.cpu), yes(100*c.cpu < mostIdleCPU))
	row(w, "memory of the daemon without agents", "", mib(c.without), "")
	row(w, "its peak while they join", "", mib(c.peak), "")
	row(w, "time until all have joined and are connected", "", fmt.Sprintf("%.1f s", c.join.Seconds()), "")
	row(w, "goroutines of the daemon, an agent", "", fmt.Sprintf("%.1f", float64(c.goroutines)/float64(c.agents)), "")
	row(w, "descriptors of the daemon, an agent", "", fmt.Sprintf("%.1f", float64(c.descriptors)/float64(c.agents)), "")
	row(w, "bytes that the daemon reads and writes, an agent a minute", "", fmt.Sprintf("%.0f", float64(c.traffic)/float64(c.agents)/idleFor.Minutes()), "")
}

func (x *agentResults) wayTable(w *strings.Builder) {
	if len(x.ways) == 0 {
		return
	}
	fmt.Fprintf(w, "\n### Backups of incompressible data, %s MB\n\n", megabytes(x.ways[0].size))
	header(w, "bytes", "s", "MB/s", "CPU s", "peak MiB of the larger process")
	for _, way := range ways {
		if rounds := x.of(way.name); len(rounds) > 0 {
			row(w, slices.Concat([]string{way.about}, costCells(rounds, backupOf))...)
		}
	}
}
