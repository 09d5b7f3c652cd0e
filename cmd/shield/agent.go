package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shieldhq/shield/server"
)

type createAgentToken struct {
	Name   string            `help:"Name of the agent that it is for." required:""`
	TTL    time.Duration     `help:"How long it can be used: once, within this." default:"1h" placeholder:"TIME"`
	Labels map[string]string `help:"What is to be known of the agent. Can be repeated." placeholder:"KEY=VALUE"`
	Dial   string            `help:"Where the daemon dials the agent, if that listens; none: the agent dials the daemon." placeholder:"HOST:PORT"`
}

func (c *createAgentToken) Run(e *env) error {
	made, err := e.client.CreateAgentToken(e.ctx, server.AgentTokenRequest{Name: c.Name, Labels: c.Labels, Dial: c.Dial, TTL: int64(c.TTL / time.Second)})
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(made)
	}
	fmt.Fprintf(e.err, "agent %s can join with this token, once, until %s:\n", plain(made.Name), moment(made.ExpiresAt))
	_, err = fmt.Fprintln(e.out, made.Token)
	return err
}

var agentView = view[server.AgentStatus]{
	kind: "agent", columns: []string{"name", "state", "last seen", "release", "os", "clock", "address"},
	row: func(a *server.AgentStatus) []string {
		return []string{a.Name, agentState(a), moment(a.LastSeenAt), dash(a.Release), dash(a.OS), skew(a.Skew), dash(a.Address)}
	},
	uuid: func(a *server.AgentStatus) string { return a.UUID },
	more: func(a *server.AgentStatus) [][2]string {
		lines := [][2]string{
			{"labels", labels(a.Labels)}, {"dialled at", dash(a.Dial)}, {"joined at", moment(a.CreatedAt)},
			{"certificate until", moment(a.ExpiresAt)}, {"own plugins", dash(strings.Join(a.Plugins, ", "))},
			{"last error", lastError(a)},
		}
		for _, uuid := range a.Running {
			lines = append(lines, [2]string{"runs task", uuid})
		}
		return lines
	},
}

func agentState(a *server.AgentStatus) string {
	switch {
	case a.Connected:
		return "connected"
	case a.Unseen:
		return "UNSEEN"
	}
	return "not connected"
}

// skew is how far the clock of an agent is off, where that matters.
func skew(seconds float64) string {
	off := time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond)
	if off.Abs() < time.Second {
		return "right"
	}
	if off > 0 {
		return off.String() + " ahead"
	}
	return (-off).String() + " behind"
}

func lastError(a *server.AgentStatus) string {
	if a.LastErrorAt.IsZero() {
		return "-"
	}
	return moment(a.LastErrorAt) + " " + a.LastError
}

func labels(all map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, key+"="+all[key])
	}
	return dash(strings.Join(parts, ", "))
}

type listAgents struct{}

func (c *listAgents) Run(e *env) error {
	return list(e, e.client.Agents(), url.Values{}, agentView, "agents")
}

type showAgent struct{ refArg }

func (c *showAgent) Run(e *env) error { return show(e, e.client.Agents(), c.Ref, agentView) }

type deleteAgent struct{ refArg }

func (c *deleteAgent) Run(e *env) error { return remove(e, e.client.Agents(), c.Ref, "agent") }
