package task

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// testTarget asks the target whether it is reachable and usable.
func (c *call) testTarget(ctx context.Context) error {
	target, info, err := c.openTarget(ctx)
	if err != nil {
		return err
	}
	t, ok := target.(plugin.Tester)
	if !ok {
		return c.unable(&info, plugin.ActionTest)
	}
	if err := c.guarded(ctx, func() error { return t.Test(ctx) }); err != nil {
		return c.blame(ctx, shield.TargetFailed, err)
	}
	c.logf("target %s (%s %s) can be used", c.task.TargetName, c.task.TargetPlugin, info.Version)
	return stopped(ctx)
}

// probeTarget asks the target what it holds.
func (c *call) probeTarget(ctx context.Context) (shield.TaskResult, error) {
	target, info, err := c.openTarget(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	p, can, err := c.probe(ctx, target)
	if err == nil && !can {
		err = c.unable(&info, plugin.ActionProbe)
	}
	if err == nil {
		err = stopped(ctx)
	}
	if err != nil {
		return shield.TaskResult{}, err
	}
	return shield.TaskResult{Findings: &shield.Findings{Counts: p.Counts, Versions: p.Versions}}, nil
}

func (c *call) unable(info *plugin.Info, a plugin.Action) error {
	return shield.FieldErrorf("target", "%s is of the plugin %s, whose version %s has no %s for targets", c.task.TargetName, c.task.TargetPlugin, info.Version, a)
}

// probe returns what the target says of itself, if it can.
func (c *call) probe(ctx context.Context, target plugin.Target) (answer plugin.Probe, can bool, err error) {
	p, can := target.(plugin.Prober)
	if !can {
		return plugin.Probe{}, false, nil
	}
	answer, err = guard(ctx, c.runner.opts.Grace, func() (plugin.Probe, error) { return p.Probe(ctx) })
	if err == nil {
		err = answer.Check()
	}
	if err != nil {
		return plugin.Probe{}, true, c.blame(ctx, shield.TargetFailed, fmt.Errorf("its probe: %w", err))
	}
	c.logf("target %s: %s", c.task.TargetName, describeProbe(&answer))
	return answer, true, nil
}

// describeProbe is a probe in words.
func describeProbe(p *plugin.Probe) string {
	var counts, versions []string
	for _, name := range slices.Sorted(maps.Keys(p.Counts)) {
		counts = append(counts, fmt.Sprintf("%d %s", p.Counts[name], name))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Versions)) {
		versions = append(versions, name+" "+p.Versions[name])
	}
	text := "holds " + strings.Join(counts, ", ")
	if len(counts) == 0 {
		text = "does not count what it holds"
	}
	if len(versions) > 0 {
		text += "; " + strings.Join(versions, ", ")
	}
	return text
}
