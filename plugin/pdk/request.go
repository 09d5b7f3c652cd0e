package pdk

import (
	"flag"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A request is what the command line asked for.
type request struct {
	action   plugin.Action
	role     plugin.Role
	endpoint shield.Endpoint
	key      string
	name     string
	prefix   string
	until    time.Time
}

// parse reads the command line. Flags may stand before or after the action.
func (c *call) parse(args []string) error {
	var role, endpoint string
	var text bool
	f := flag.NewFlagSet("plugin", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	for _, name := range []string{"endpoint", "e"} {
		f.StringVar(&endpoint, name, "", "")
	}
	for _, name := range []string{"key", "k"} {
		f.StringVar(&c.key, name, "", "")
	}
	f.StringVar(&c.name, "name", "", "")
	f.StringVar(&c.prefix, "prefix", "", "")
	f.Func("until", "", func(text string) (err error) {
		c.until, err = time.Parse(time.RFC3339, text)
		return err
	})
	f.StringVar(&role, "role", "", "")
	f.BoolVar(&text, "text", false, "") // of the original protocol; changes nothing here
	if err := f.Parse(args); err != nil {
		return exitErrorf(exitUsage, "%v: %s", err, usage)
	}
	c.action = plugin.Action(f.Arg(0))
	if err := f.Parse(f.Args()[min(1, f.NArg()):]); err != nil {
		return exitErrorf(exitUsage, "%v: %s", err, usage)
	}
	if c.action == "" || f.NArg() > 0 {
		return exitErrorf(exitUsage, "one action is wanted: %s", usage)
	}
	c.role, c.endpoint = plugin.Role(role), shield.Endpoint(endpoint)
	return nil
}

const usage = "PLUGIN info|validate|test|probe|backup|inspect|restore|store|retrieve|purge|list [--role target|store] [--endpoint JSON] [--key KEY] [--name KEY] [--until TIME] [--prefix PREFIX]"

// roles says which role an action belongs to; the other actions say it by
// --role.
var roles = map[plugin.Action]plugin.Role{
	plugin.ActionBackup:   plugin.RoleTarget,
	plugin.ActionRestore:  plugin.RoleTarget,
	plugin.ActionProbe:    plugin.RoleTarget,
	plugin.ActionInspect:  plugin.RoleTarget,
	plugin.ActionStore:    plugin.RoleStore,
	plugin.ActionRetrieve: plugin.RoleStore,
	plugin.ActionPurge:    plugin.RoleStore,
	plugin.ActionList:     plugin.RoleStore,
}

// prepare completes the request: its role, its endpoint and its key.
func (c *call) prepare(getenv func(string) string) error {
	if err := c.settleRole(); err != nil {
		return err
	}
	needsKey := c.action == plugin.ActionRetrieve || c.action == plugin.ActionPurge
	if needsKey && c.key == "" {
		return exitErrorf(exitNoKey, "%s needs --key KEY", c.action)
	}
	e, err := c.readEndpoint(getenv)
	if err != nil {
		return err
	}
	if e, err = shield.ParseEndpoint(e); err != nil {
		return &exitError{exitJSON, err}
	}
	c.endpoint = e
	resolved, err := c.info.Resolve(c.role, e)
	if err != nil {
		return err
	}
	c.endpoint = resolved
	return nil
}

func (c *call) settleRole() error {
	if r, ok := roles[c.action]; ok {
		c.role = r
	}
	if c.role == "" {
		c.role = plugin.RoleTarget
		if !c.info.Has(plugin.RoleTarget) {
			c.role = plugin.RoleStore
		}
	}
	if !c.info.Has(c.role) {
		return &exitError{exitUnsupported, plugin.RoleError(c.info.Name, c.role)}
	}
	return nil
}

// readEndpoint takes the endpoint from where the host put it. The flag wins,
// so that a person can run a plugin by hand.
func (c *call) readEndpoint(getenv func(string) string) ([]byte, error) {
	if len(c.endpoint) > 0 {
		return c.endpoint, nil
	}
	if text := getenv("SHIELD_ENDPOINT_FD"); text != "" {
		return readDescriptor(text)
	}
	if text := getenv("SHIELD_ENDPOINT"); text != "" {
		return []byte(text), nil
	}
	return nil, exitErrorf(exitUsage, "%s needs its endpoint: --endpoint JSON, or a file descriptor named by SHIELD_ENDPOINT_FD, or SHIELD_ENDPOINT", c.action)
}

func readDescriptor(text string) ([]byte, error) {
	fd, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, exitErrorf(exitUsage, "SHIELD_ENDPOINT_FD is %q: the number of an open file descriptor is wanted", text)
	}
	f := os.NewFile(uintptr(fd), "endpoint")
	if f == nil {
		return nil, exitErrorf(exitUsage, "SHIELD_ENDPOINT_FD is %q: no such file descriptor is open", text)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, shield.EndpointLimit+1))
	if err != nil {
		return nil, exitErrorf(exitUsage, "the endpoint cannot be read from file descriptor %d: %v", fd, err)
	}
	return b, nil
}
