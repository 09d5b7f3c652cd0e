package calling

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type prober struct{ s *Session }

// Probe runs the action probe and returns what it printed.
func (p prober) Probe(ctx context.Context) (plugin.Probe, error) {
	return p.s.ask(ctx, Request{Action: plugin.ActionProbe})
}

type inspector struct{ s *Session }

// Inspect copies r to the plugin's standard input and returns what it
// printed. An error of r is returned as it is.
func (i inspector) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	return i.s.ask(ctx, Request{Action: plugin.ActionInspect, Input: r})
}

// ask runs an action whose answer is a probe.
func (s *Session) ask(ctx context.Context, r Request) (plugin.Probe, error) {
	c, err := s.start(ctx, r)
	if err != nil {
		return plugin.Probe{}, err
	}
	defer func() { _ = c.Close() }()
	text, err := ReadAll(c, answerLimit)
	if err != nil {
		return plugin.Probe{}, err
	}
	p, err := parseProbe(text)
	if err != nil {
		return plugin.Probe{}, shield.Errorf(shield.PluginFailed, c.Op(), "%w", err)
	}
	return p, nil
}

func parseProbe(text []byte) (plugin.Probe, error) {
	var p plugin.Probe
	if len(bytes.TrimSpace(text)) == 0 {
		return p, errors.New(`nothing was printed: {"counts": {...}, "versions": {...}} was wanted`)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return plugin.Probe{}, fmt.Errorf(`what was printed is not the JSON object {"counts": {...}, "versions": {...}} that was wanted: %w`, err)
	}
	return p, p.Check()
}
