// Command shieldd is the daemon of shield: catalog, scheduler, runner and
// HTTP API in one process.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/nativeplugins"
	"github.com/shieldhq/shield/internal/version"
	"github.com/shieldhq/shield/wasmhost"
)

// flags are the settings of the daemon. Each can be given by a flag, by the
// environment variable shown in the help, or by the configuration file;
// flags win over the environment, and that over the file.
type flags struct {
	Data          string           `help:"Folder for catalog and keys. It belongs to one daemon at a time." env:"SHIELD_DATA" placeholder:"DIR" required:""`
	Listen        string           `help:"Address of the API." env:"SHIELD_LISTEN" default:"${listen}" placeholder:"HOST:PORT"`
	Insecure      bool             `help:"Allow an API in the clear beyond loopback." env:"SHIELD_INSECURE"`
	TLSCert       string           `help:"File with the certificate of the API, in PEM, and those that it is signed by. Read again when it changes." env:"SHIELD_TLS_CERT" placeholder:"FILE"`
	TLSKey        string           `help:"File with the key of the certificate." env:"SHIELD_TLS_KEY" placeholder:"FILE"`
	TrustedProxy  []string         `help:"Address, or network in CIDR notation, of a reverse proxy that is believed about where requests come from (X-Forwarded-For). Can be repeated." env:"SHIELD_TRUSTED_PROXY" placeholder:"CIDR"`
	Sandbox       *bool            `help:"Run the bundled plugins in the sandbox, as modules (default: yes, if they were built in)." env:"SHIELD_SANDBOX" negatable:""`
	Cache         string           `help:"Folder of compiled plugin modules (default: cache, in the data folder). Nobody else may write there." env:"SHIELD_CACHE" placeholder:"DIR"`
	PluginDir     []string         `help:"Folder with executable plugins. Can be repeated." env:"SHIELD_PLUGIN_DIR" placeholder:"DIR"`
	Timezone      string           `help:"IANA time zone of schedules that name none, like Europe/Rome; none: UTC." env:"SHIELD_TIMEZONE" placeholder:"ZONE"`
	Mode          string           `help:"DEV makes every schedule mean every minute, to try things out." env:"SHIELD_MODE" enum:",DEV,dev" default:"" placeholder:"DEV"`
	Recipient     []string         `help:"Further age public key that archives are sealed to. Can be repeated." env:"SHIELD_RECIPIENT" placeholder:"age1..."`
	Limit         int              `help:"Tasks that run at once." env:"SHIELD_LIMIT" default:"4"`
	AgentLimit    int              `help:"Tasks of one agent that run at once; 0: no limit of its own." env:"SHIELD_AGENT_LIMIT" default:"0"`
	AgentListen   string           `help:"Address that agents dial, by TLS, like :7644; none: agents cannot dial." env:"SHIELD_AGENT_LISTEN" placeholder:"HOST:PORT"`
	AgentLife     time.Duration    `help:"How long the certificate of an agent is valid, which it renews at two thirds of that." env:"SHIELD_AGENT_LIFE" default:"720h"`
	AgentPatience time.Duration    `help:"How long a running task waits for its agent to be connected again." env:"SHIELD_AGENT_PATIENCE" default:"15m"`
	AgentStatus   time.Duration    `help:"How often each connected agent is asked what it is and what it can; 0: only when somebody asks." env:"SHIELD_AGENT_STATUS" default:"24h"`
	AgentUnseen   time.Duration    `help:"After how long an event tells that an agent is not connected." env:"SHIELD_AGENT_UNSEEN" default:"5m"`
	Attempts      int              `help:"How often a scheduled backup is tried in all whose job does not say." env:"SHIELD_ATTEMPTS" default:"3"`
	Backoff       time.Duration    `help:"How long a task waits after its first attempt; then twice as long each time, up to 1h." env:"SHIELD_BACKOFF" default:"1m"`
	Timeout       time.Duration    `help:"Deadline of tasks whose job names none." env:"SHIELD_TIMEOUT" default:"24h"`
	IdleTimeout   time.Duration    `help:"End a task in which no byte has moved for so long and whose job names no such time." env:"SHIELD_IDLE_TIMEOUT" default:"30m"`
	Grace         time.Duration    `help:"How long plugins may take to end when told to." env:"SHIELD_GRACE" default:"30s"`
	StopTimeout   time.Duration    `help:"How long running tasks may go on when the daemon is told to stop." env:"SHIELD_STOP_TIMEOUT" default:"30s"`
	LogFormat     string           `help:"Format of the log on standard error: text or json." env:"SHIELD_LOG_FORMAT" enum:"text,json" default:"text"`
	LogLevel      slog.Level       `help:"Least level that is logged: debug, info, warn or error." env:"SHIELD_LOG_LEVEL" default:"info"`
	Config        kong.ConfigFlag  `help:"YAML file with any of these settings, by the names of the flags." env:"SHIELD_CONFIG" placeholder:"FILE"`
	Version       kong.VersionFlag `help:"Print the version and exit."`

	Serve serveCmd `cmd:"" default:"1" hidden:"" help:"Be the daemon."`
	Keys  keysCmd  `cmd:"" help:"Change the keys of a data folder, also while a daemon uses it."`
}

type serveCmd struct{}

func (*serveCmd) Run(ctx context.Context, f *flags) error { return serve(ctx, f) }

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
	var f flags
	parser, err := kong.New(&f,
		kong.Name("shieldd"),
		kong.Description("The daemon of shield. Exit status: 0 stopped on request, 1 failed, 2 bad settings."),
		kong.Configuration(loadYAML),
		kong.Vars{"listen": daemon.DefaultListen, "version": version.String()},
	)
	if err != nil {
		return fail(1, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return fail(2, err)
	}
	// The second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(&f)
	var e *shield.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e) && e.Code == shield.Invalid && e.Op == "": // of a setting, not of what a setting leads to
		return fail(2, err)
	}
	return fail(1, err)
}

func fail(status int, err error) int {
	fmt.Fprintln(os.Stderr, "shieldd:", err)
	return status
}

func serve(ctx context.Context, f *flags) error {
	native, err := nativeplugins.Open()
	if err != nil {
		return err
	}
	d, err := daemon.Open(ctx, daemon.Config{
		Data: f.Data, Listen: f.Listen, Insecure: f.Insecure, TLSCert: f.TLSCert, TLSKey: f.TLSKey, TrustedProxies: f.TrustedProxy, Sandbox: f.sandboxing(), Cache: f.Cache, CompileApart: true, PluginDirs: f.PluginDir, Native: native,
		Timezone: f.Timezone, Dev: f.Mode != "", Recipients: f.Recipient,
		Limit: f.Limit, AgentLimit: f.AgentLimit, AgentListen: f.AgentListen, AgentLife: f.AgentLife, AgentPatience: f.AgentPatience, AgentUnseen: f.AgentUnseen, AgentStatus: f.AgentStatus,
		Attempts: f.Attempts, Backoff: f.Backoff, Timeout: f.Timeout, IdleTimeout: f.IdleTimeout, Grace: f.Grace,
		Release: version.String(), Log: logger(f),
	})
	if err != nil {
		return err
	}
	if d.NewToken() {
		fmt.Printf("admin token: %s\nIt is shown this once, and kept in %s.\n", d.Token().Reveal(), d.TokenPath())
		fmt.Printf("To make the first user: shield --api %s --token-file %s create user NAME --role admin\n", d.URL(), d.TokenPath())
	}
	if d.AgentAddr() != "" {
		fmt.Printf("agents dial %s\n", d.AgentAddr())
	}
	fmt.Printf("listening on %s\n", d.URL())
	return d.Run(ctx, f.StopTimeout)
}

// sandboxing tells whether the operator has chosen: who asks for the sandbox
// must not be left without.
func (f *flags) sandboxing() daemon.Sandboxing {
	switch {
	case f.Sandbox == nil:
		return daemon.SandboxBuilt
	case *f.Sandbox:
		return daemon.SandboxAlways
	}
	return daemon.SandboxNever
}

func logger(f *flags) *slog.Logger {
	opts := &slog.HandlerOptions{Level: f.LogLevel}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}
