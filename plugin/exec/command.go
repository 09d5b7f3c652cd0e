package exec

import (
	"os"
	"strings"

	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// A command is one call of a plugin, to be started.
type command struct{ *calling.Request }

// op names a call in errors: the program and the action.
func (p *Plugin) op(a plugin.Action) string { return p.options.Name + " " + string(a) }

func (c *command) argv(path string, leading []string) []string {
	argv := append(append([]string{path}, leading...), string(c.Action))
	if c.Endpoint != nil && c.Delivery == plugin.DeliverArgv {
		argv = append(argv, "--endpoint", string(c.Endpoint))
	}
	return append(argv, c.Args()...)
}

// environ returns the whole environment of a call. Little is passed on: the
// environment of a daemon holds secrets of its own.
func (c *command) environ(dir string, options *Options) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	env = append(append(env, "TMPDIR="+dir), options.Env...)
	if c.Endpoint != nil {
		switch c.Delivery {
		case plugin.DeliverFD:
			env = append(env, "SHIELD_ENDPOINT_FD=3")
		case plugin.DeliverEnv:
			env = append(env, "SHIELD_ENDPOINT="+string(c.Endpoint))
		}
	}
	return lastOfEach(env)
}

// lastOfEach drops all but the last value of each variable, since programs
// differ in which of two they take.
func lastOfEach(env []string) []string {
	at := map[string]int{}
	var out []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if n, ok := at[name]; ok {
			out[n] = e
			continue
		}
		at[name] = len(out)
		out = append(out, e)
	}
	return out
}
