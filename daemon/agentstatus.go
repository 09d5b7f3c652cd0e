package daemon

import (
	"context"
	"time"

	"github.com/shieldhq/shield"
)

// askedAtOnce is how many agents are asked at a time: those that joined
// together are not to take the place of backups.
const askedAtOnce = 10

// askAgents has each connected agent asked now and then what it is. One that is
// not connected is told of by an event.
func (d *Daemon) askAgents(ctx context.Context) {
	tick := time.NewTicker(min(d.config.AgentStatus, time.Minute))
	defer tick.Stop()
	for {
		if err := d.askSome(ctx, time.Now().UTC()); err != nil && ctx.Err() == nil {
			d.config.Log.Error("agents were not asked what they are", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Daemon) askSome(ctx context.Context, now time.Time) error {
	agents, err := d.catalog.Agents(ctx, shield.Filter{})
	if err != nil || len(agents) == 0 {
		return err
	}
	tasks, err := d.catalog.Tasks(ctx, shield.Filter{Op: shield.OpAgentStatus, After: now.Add(-d.config.AgentStatus)})
	if err != nil {
		return err
	}
	asked, open := map[string]bool{}, 0
	for _, t := range tasks {
		asked[t.Agent] = true
		if !t.Status.Final() {
			open++
		}
	}
	for _, a := range agents {
		if open >= askedAtOnce {
			break
		}
		if asked[a.Name] || !d.agents.Linked(a.UUID) {
			continue
		}
		if _, err := d.scheduler.Submit(ctx, shield.Request{Op: shield.OpAgentStatus, Agent: a.Name}); err != nil {
			return err
		}
		open++
	}
	return nil
}
