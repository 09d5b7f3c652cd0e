package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/shieldhq/shield"
)

// status asks an agent what it is and what it can: the way there and back, its
// release, its plugins, what it runs, and its clock.
func (d *Dispatcher) status(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	a, err := d.find(ctx, t.Agent)
	if err != nil {
		return shield.TaskResult{}, err
	}
	l := d.hub.get(a.UUID)
	if l == nil {
		return shield.TaskResult{}, notLinked(a, "the host of agent "+a.Name)
	}
	ctx, leave := d.uses.with(ctx, a.UUID)
	defer leave()
	ask, cancel := context.WithTimeoutCause(ctx, helloTimeout, shield.Errorf(shield.TimedOut, "", "agent %s has not answered within %s", a.Name, helloTimeout))
	defer cancel()
	began := time.Now()
	h := &Hello{}
	if err := l.ask(ask, http.MethodGet, "/v1/hello", nil, h); err != nil {
		return shield.TaskResult{}, err
	}
	took := time.Since(began)
	if err := d.note(ctx, &link{agent: a, address: l.address, hello: h}); err != nil {
		return shield.TaskResult{}, err
	}
	logf := func(format string, args ...any) {
		m.Log(shield.SourceShield, shield.Errorf("", "", format, args...).Message)
	}
	logf("agent %s answered in %s: release %s on %s, %d tasks, its clock is ahead by %.1f s", a.Name, took.Round(time.Millisecond), a.Release, a.OS, len(h.Tasks), a.Skew)
	f := &shield.Findings{
		Counts:   map[string]int64{"tasks": int64(len(h.Tasks)), "plugins": int64(len(a.Plugins))},
		Versions: map[string]string{"shield-agent": a.Release},
	}
	for _, o := range h.Plugins[:len(a.Plugins)] {
		if o.Error != "" {
			logf("its plugin %s cannot be used: %.500s", clip(o.Name), o.Error)
		} else if o.Info != nil {
			f.Versions[clip(o.Name)] = clip(o.Info.Version)
		}
	}
	return shield.TaskResult{Findings: f}, nil
}
