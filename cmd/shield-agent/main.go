// Command shield-agent runs beside the data: it joins a daemon and runs its
// tasks. It also shows which plugins this host offers and checks what they can
// reach from here.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/endpointarg"
	"github.com/shieldhq/shield/internal/nativeplugins"
	"github.com/shieldhq/shield/internal/version"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

type cli struct {
	PluginDir []string         `help:"Folder with executable plugins. Can be repeated." env:"SHIELD_PLUGIN_DIR" placeholder:"DIR"`
	Version   kong.VersionFlag `help:"Print the version and exit."`

	Run     runCmd     `cmd:"" default:"withargs" help:"Join a daemon, once, and run its tasks. This is what shield-agent does without a command."`
	Plugins pluginsCmd `cmd:"" help:"Print the plugins of this host as JSON."`
	Check   checkCmd   `cmd:"" help:"Check an endpoint and whether it can be reached and used from this host."`
}

func main() {
	// The sandbox runs this program again to compile plugins, and for those
	// that are to have a process of their own.
	if len(os.Args) > 1 && os.Args[1] == "plugin-run" {
		os.Exit(wasmhost.RunIsolated(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	nativeplugins.Main(os.Args)
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("shield-agent"),
		kong.Description("Runs beside the data. Exit status: 0 done, 1 failed, 2 bad usage or input."),
		kong.Vars{"version": version.String(), "state": defaultState()},
	)
	var parsed *kong.Context
	if err == nil {
		parsed, err = parser.Parse(args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield-agent:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	r, err := registry(c.PluginDir)
	if err == nil {
		parsed.BindTo(ctx, (*context.Context)(nil))
		err = parsed.Run(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shield-agent:", err)
		if errors.Is(err, shield.Invalid) {
			return 2
		}
		return 1
	}
	return 0
}

func registry(dirs []string) (*plugin.Registry, error) {
	native, err := nativeplugins.Open()
	if err != nil {
		return nil, err
	}
	return daemon.Registry(&daemon.Config{PluginDirs: dirs, Native: native})
}

type pluginsCmd struct{}

func (*pluginsCmd) Run(ctx context.Context, r *plugin.Registry) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(plugin.Offers(ctx, r, error.Error))
}

type checkCmd struct {
	Role     string `arg:"" enum:"target,store" help:"target or store."`
	Plugin   string `arg:"" help:"Name of the plugin."`
	Endpoint string `arg:"" help:"JSON, @FILE, or - for standard input."`
}

func (c *checkCmd) Run(ctx context.Context, r *plugin.Registry) error {
	e, err := endpointarg.Read(c.Endpoint, os.Stdin)
	if err != nil {
		return err
	}
	err = agent.Check(ctx, r, c.Plugin, plugin.Role(c.Role), e, func(line string) { fmt.Fprintln(os.Stderr, line) })
	switch {
	case errors.Is(err, agent.ErrNoTest):
		fmt.Println(err)
		return nil
	case err == nil:
		fmt.Printf("the %s can be reached and used from here\n", c.Role)
	}
	return err
}
