package main

import (
	"bufio"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAgentMarkdown(t *testing.T) {
	t.Parallel()
	backup := func(way string, wall, cpu time.Duration) result {
		return result{contender: way, size: 2 << 30, backup: cost{wall, cpu, 40 << 20}}
	}
	r := &report{machine: []string{"machine: one"}}
	r.agents.ways = []result{ // two rounds, each in an order of its own
		backup("alone", 4*time.Second, 5*time.Second), backup("direct", 5*time.Second, 5*time.Second), backup("relay", 6*time.Second, 9*time.Second),
		backup("direct", 2*time.Second, 5*time.Second), backup("relay", 6*time.Second, 13*time.Second), backup("alone", 2*time.Second, 5*time.Second),
	}
	for i := range 100 {
		ms := time.Duration(i+1) * time.Millisecond
		r.agents.dispatches = append(r.agents.dispatches, dispatch{ms, ms / 2})
	}
	r.agents.firstByte = []time.Duration{20 * time.Millisecond}
	r.agents.idle = &idleCost{agents: 1000, rss: 200 << 20, cpu: 0.012, without: 40 << 20, peak: 300 << 20, traffic: 500_000, goroutines: 6100, descriptors: 1000, join: 3 * time.Second}
	parts := r.parts()
	text := parts[partAgents]
	for _, want := range []string{
		"- machine: one\n",
		"| direct: throughput against no agent | at least 0.95x | 0.90x | **no** |\n",
		"| relayed: CPU of both ends over that without an agent | at most 2.5 s/GiB | 3.00 s/GiB | **no** |\n",
		"has begun: median | under 50 ms | 50.5 ms | **no** |\n",
		"| the same: 99 of 100 | under 50 ms | 99.0 ms | **no** |\n",
		"claimed the task: median |  | 25.2 ms |  |\n",
		"is in the store: median |  | 20.0 ms |  |\n",
		"over that without them | under 150 MiB | 200 MiB | **no** |\n",
		"| 1000 idle agents: CPU of the daemon | under 5 % of a core | 1.2 % | yes |\n",
		"| goroutines of the daemon, an agent |  | 6.1 |  |\n",
		"an agent a minute |  | 500 |  |\n",
		"### Backups of incompressible data, 2147.5 MB\n",
		"| no agent | 3.00 (2.00 to 4.00) | 805 | 5.00 | 40 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the part has no line %q:\n%s", want, text)
		}
	}
	if len(parts) != 1 {
		t.Errorf("there are %d parts, want that of agents alone", len(parts))
	}
	if parts := new(report).parts(); parts[partAgents] != "" {
		t.Errorf("nothing was measured, and the part is %q", parts[partAgents])
	}
}

func TestAgentMeasurementsWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		only string
		want bool
	}{
		{"", true}, {"agent/relay", true}, {"agent/(direct|idle)", true}, {"agent/idle", false}, {"text/shell", false},
	} {
		b := &bench{only: regexp.MustCompile(c.only)}
		if got := b.wanted([]string{"agent/direct", "agent/relay"}); got != c.want {
			t.Errorf("-only %q: wanted is %v", c.only, got)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	same := func(v float64) float64 { return v }
	for _, c := range []struct {
		of   []float64
		want float64
	}{
		{[]float64{3}, 3}, {[]float64{2, 1}, 2}, {make100(), 99}, {append(make100(), make100()...), 99}, {append(make100(), 1000), 100},
	} {
		if got := percentile(c.of, 99, same); got != c.want {
			t.Errorf("99 of 100 of %d values: %v, want %v", len(c.of), got, c.want)
		}
	}
}

// make100 returns 100 down to 1.
func make100() []float64 {
	var v []float64
	for i := 100; i > 0; i-- {
		v = append(v, float64(i))
	}
	return v
}

// What an agent logs is what tells that it has begun a task.
func TestAgentHasBegun(t *testing.T) {
	t.Parallel()
	a := &agentProcess{began: make(chan begun, 16)}
	a.read(bufio.NewScanner(strings.NewReader(`time=2026-11-23T11:00:00.000Z level=INFO msg="linked to the daemon" core=https://127.0.0.1:1
time=2026-11-23T11:00:00.000Z level=INFO msg="task started" task=1f epoch=1 op=backup target=direct store=direct
time=2026-11-23T11:00:00.100Z level=INFO msg="task ended" task=1f epoch=1 error=<nil>
time=2026-11-23T11:00:00.000Z level=INFO msg="task started" task=2f epoch=1 op=backup target=direct store=direct
`)))
	if _, err := a.hasBegun(t.Context(), "2f"); err != nil {
		t.Error(err)
	}
	a.forget()
	if len(a.began) != 0 {
		t.Errorf("%d tasks were not forgotten", len(a.began))
	}
	if !strings.Contains(a.said(), "task ended") {
		t.Errorf("the log is %q", a.said())
	}
}
