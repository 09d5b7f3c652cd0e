package dockerpg

import (
	"context"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// provide sees to it that a container is there, runs and answers. It reports
// whether it had to make it.
func (d *docker) provide(ctx context.Context, c *container) (made bool, err error) {
	there, err := d.find(ctx, c.name())
	if err != nil {
		return false, err
	}
	if there == nil {
		if err := d.create(ctx, c); err != nil {
			return false, err
		}
		made = true
	}
	if there == nil || !there.State.Running {
		_, err = d.output(ctx, "start", c.name())
	}
	if err == nil {
		err = d.await(ctx, c)
	}
	if err != nil && made {
		d.remove(ctx, c)
	}
	return made, err
}

// create makes a container as it was, or not at all.
func (d *docker) create(ctx context.Context, c *container) error {
	args, files, err := c.createArgs(d.config.Pull)
	if err != nil {
		return err
	}
	d.log("making the container " + c.name() + " of the image " + c.Config.Image)
	if _, err := d.run(ctx, tool.Job{Args: args, Files: files}); err != nil {
		return shield.Errorf(shield.CodeOf(err), "", "the container %s cannot be made again: %w", c.name(), err)
	}
	made, err := d.find(ctx, c.name())
	if err == nil && made == nil {
		err = shield.Errorf(shield.TargetFailed, "", "the container %s was made and is not there", c.name())
	}
	if err == nil {
		if key := c.differs(made); key != "" {
			err = c.cannot("the plugin does not know how to give it its %s", key)
		}
	}
	for _, name := range c.otherNetworks() {
		if err != nil {
			break
		}
		n := c.NetworkSettings.Networks[name]
		a := &flags{args: []string{"network", "connect"}}
		for _, alias := range n.Aliases {
			if len(alias) != 12 || c.ID[:min(12, len(c.ID))] != alias {
				a.text("--alias", alias)
			}
		}
		_, err = d.output(ctx, append(a.args, name, c.name())...)
	}
	if err != nil {
		d.remove(ctx, c)
	}
	return err
}

// otherNetworks returns the networks that a container joined beside that of
// its mode.
func (c *container) otherNetworks() []string {
	var names []string
	for name := range c.NetworkSettings.Networks {
		mode := c.HostConfig.NetworkMode
		if name != mode && (mode != "default" || name != "bridge") {
			names = append(names, name)
		}
	}
	return names
}

// remove removes a container that was made in vain, with its nameless volumes.
func (d *docker) remove(ctx context.Context, c *container) {
	if _, err := d.output(context.WithoutCancel(ctx), "rm", "-f", "-v", c.name()); err != nil {
		d.log("the container " + c.name() + ", which could not be restored, could not be removed: " + err.Error())
	}
}

// pause is between two questions to a server that starts.
const pause = 200 * time.Millisecond

// await waits until the server in a container answers over TCP: while an
// image sets up its data folder, its server answers over the socket alone.
func (d *docker) await(ctx context.Context, c *container) error {
	limited, cancel := context.WithTimeout(ctx, d.config.patience)
	defer cancel()
	quiet := *d
	if h, ok := d.Runner.(*tool.Host); ok {
		silent := *h
		silent.Log = nil // each question that comes too early would complain
		quiet.Runner = &silent
	}
	for {
		_, err := quiet.output(limited, "exec", c.name(), "pg_isready", "-q", "-h", "127.0.0.1")
		if err == nil {
			return nil
		}
		if now, e := d.find(limited, c.name()); e == nil && (now == nil || !now.State.Running) {
			return shield.Errorf(shield.TargetFailed, "", "the container %s has ended while it started: docker logs %s says why", c.name(), c.name())
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return shield.Errorf(shield.TimedOut, "", "the server in the container %s does not answer within %s: %w", c.name(), d.config.patience, err)
		case <-time.After(pause):
		}
	}
}
