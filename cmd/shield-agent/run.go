package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/internal/agenthost"
	"github.com/shieldhq/shield/internal/version"
	"github.com/shieldhq/shield/plugin"
)

// runCmd serves a daemon.
type runCmd struct {
	Core        string        `help:"The daemon's address for agents, like https://backup.example.com:7644." env:"SHIELD_AGENT_CORE" placeholder:"URL"`
	Listen      string        `help:"Listen here for the daemon, where agents cannot dial it." env:"SHIELD_AGENT_LISTEN" placeholder:"HOST:PORT"`
	Name        string        `help:"Name of this agent, which its token is for." env:"SHIELD_AGENT_NAME" placeholder:"NAME"`
	Token       string        `help:"Token to join with, once. Prefer the environment or a file: other users see the command line." env:"SHIELD_AGENT_TOKEN" placeholder:"TOKEN"`
	TokenFile   string        `help:"File that holds the token." env:"SHIELD_AGENT_TOKEN_FILE" placeholder:"FILE"`
	State       string        `help:"Folder of the agent's key, modules and results." env:"SHIELD_AGENT_STATE" default:"${state}" placeholder:"DIR"`
	Limit       int           `help:"Tasks that run at once; 0: as many as the daemon gives." env:"SHIELD_AGENT_LIMIT" default:"0"`
	Rate        string        `help:"Bytes a second that may move each way, like 20MiB; or a limit with windows as JSON, as stores have it." env:"SHIELD_AGENT_RATE" placeholder:"RATE|JSON"`
	DenyCommand []string      `help:"Command that no plugin may run, whatever the daemon grants. Can be repeated." env:"SHIELD_AGENT_DENY_COMMAND" placeholder:"NAME"`
	AllowPath   []string      `help:"Folder below which plugins may read and write; none: what the daemon grants. Can be repeated." env:"SHIELD_AGENT_ALLOW_PATH" placeholder:"DIR"`
	Nice        int           `help:"Niceness of the agent and of all that it runs: 0 to 19." env:"SHIELD_AGENT_NICE" default:"0"`
	IONice      string        `help:"Class of input and output: best-effort (least of it) or idle." name:"ionice" env:"SHIELD_AGENT_IONICE" enum:",best-effort,idle" default:"" placeholder:"CLASS"`
	Grace       time.Duration `help:"How long plugins may take to end when told to." env:"SHIELD_AGENT_GRACE" default:"30s"`
	StopTimeout time.Duration `help:"How long running tasks may clean up when the agent is told to stop." env:"SHIELD_AGENT_STOP_TIMEOUT" default:"30s"`
	LogFormat   string        `help:"Format of the log on standard error: text or json." env:"SHIELD_AGENT_LOG_FORMAT" enum:"text,json" default:"text"`
	LogLevel    slog.Level    `help:"Least level that is logged: debug, info, warn or error." env:"SHIELD_AGENT_LOG_LEVEL" default:"info"`
}

func (c *runCmd) Run(ctx context.Context, r *plugin.Registry) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	limit, err := c.rate()
	if err != nil {
		return err
	}
	if err := lower(c.Nice, c.IONice); err != nil {
		return err
	}
	log := c.log()
	host, err := agenthost.New(ctx, agenthost.Options{
		Own: r, Dir: c.State, DenyCommands: c.DenyCommand, AllowPaths: c.AllowPath,
		Limit: limit, Grace: c.Grace, CompileApart: true, Log: log,
	})
	if err != nil {
		return err
	}
	a, err := agent.New(agent.Options{
		Name: c.Name, Core: c.Core, Listen: c.Listen, Token: token, Dir: c.State,
		Limit: c.Limit, StopTimeout: c.StopTimeout, Release: version.String(), Host: host, Log: log,
		Ready: func(address string) { fmt.Printf("listening on %s\n", address) },
	})
	if err != nil {
		return errors.Join(err, host.Close())
	}
	return errors.Join(a.Run(ctx), host.Close())
}

func (c *runCmd) token() (shield.Secret, error) {
	if c.Token != "" || c.TokenFile == "" {
		return shield.Secret(c.Token), nil
	}
	b, err := os.ReadFile(c.TokenFile)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // it may have joined, and the file be gone since
	}
	if err != nil {
		return "", shield.FieldErrorf("token-file", "%v", err)
	}
	return shield.Secret(strings.TrimSpace(string(b))), nil
}

func (c *runCmd) rate() (l shield.Limit, err error) {
	if !strings.HasPrefix(c.Rate, "{") {
		l.Up, l.Down = c.Rate, c.Rate
		return l, nil
	}
	d := json.NewDecoder(strings.NewReader(c.Rate))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, shield.FieldErrorf("rate", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return l, nil
}

func (c *runCmd) log() *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}

// defaultState is where a service keeps its state, or else a user.
func defaultState() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" { // of systemd
		return dir
	}
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "shield-agent")
	}
	return "shield-agent-state"
}
