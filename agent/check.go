package agent

import (
	"context"
	"errors"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// ErrNoTest is returned by Check for a plugin that cannot test what it
// reaches.
var ErrNoTest = errors.New("the plugin has no test action: only the endpoint was checked")

// Check checks an endpoint as a target or store of a plugin, and asks the
// plugin to test from this host whether the system is reachable and usable.
func Check(ctx context.Context, r *plugin.Registry, name string, role plugin.Role, e shield.Endpoint, log plugin.Log) error {
	e, err := r.Resolve(ctx, name, role, e)
	if err != nil {
		return err
	}
	var opened any
	if role == plugin.RoleTarget {
		opened, _, err = r.OpenTarget(ctx, name, e, log)
	} else {
		opened, _, err = r.OpenStore(ctx, name, e, log)
	}
	if err != nil {
		return err
	}
	t, ok := opened.(plugin.Tester)
	if !ok {
		return ErrNoTest
	}
	return t.Test(ctx)
}
