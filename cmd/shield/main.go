// Command shield is the command line of shield. It does all through the HTTP
// API of a daemon.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/version"
	"github.com/shieldhq/shield/server"
)

// cli is the grammar.
type cli struct {
	API       string           `help:"Address of the daemon." env:"SHIELD_API" default:"http://127.0.0.1:7643" placeholder:"URL"`
	Token     string           `help:"API token. Prefer the environment or a file: arguments are visible to other users." env:"SHIELD_TOKEN" placeholder:"TOKEN"`
	TokenFile string           `help:"File that holds the API token." env:"SHIELD_TOKEN_FILE" placeholder:"FILE"`
	JSON      bool             `help:"Print JSON; errors too, on standard error." env:"SHIELD_JSON"`
	Version   kong.VersionFlag `help:"Print the version and exit."`

	Status  statusCmd  `cmd:"" help:"Show the state of the daemon."`
	Create  createCmd  `cmd:"" help:"Make a target, store, schedule, retention policy or job."`
	List    listCmd    `cmd:"" help:"List things of one kind."`
	Show    showCmd    `cmd:"" help:"Show one thing."`
	Edit    editCmd    `cmd:"" aliases:"update" help:"Change a target, store, schedule, retention policy, job or archive."`
	Delete  deleteCmd  `cmd:"" help:"Delete a thing. Deleting an archive removes it from its store."`
	Run     runCmd     `cmd:"" help:"Run a job now."`
	Pause   pauseCmd   `cmd:"" help:"Stop starting a job by its schedule."`
	Unpause unpauseCmd `cmd:"" help:"Start a job by its schedule again."`
	Restore restoreCmd `cmd:"" help:"Restore an archive."`
	Cancel  cancelCmd  `cmd:"" help:"Cancel a task."`
	Test    testCmd    `cmd:"" help:"Test a store."`
}

// Exit statuses.
const (
	exitOK = iota
	exitError
	exitUsage
	exitNotFound
	exitConflict
	exitDenied
	exitUnavailable
	exitTaskFailed
	exitTaskCanceled
)

const description = `Back up data systems into stores, and restore them.

Names work wherever a UUID does. Exit status: 0 done; 1 failed; 2 bad usage or
input; 3 not found; 4 conflict or in use; 5 no or wrong token; 6 the daemon
cannot be reached; 7 the task that was waited for failed; 8 it was canceled.`

// statusOf is the one table from codes to exit statuses.
func statusOf(err error) int {
	var ended *taskEnded
	if errors.As(err, &ended) {
		if ended.status == shield.TaskCanceled {
			return exitTaskCanceled
		}
		return exitTaskFailed
	}
	switch shield.CodeOf(err) {
	case "":
		return exitOK
	case shield.Invalid:
		return exitUsage
	case shield.NotFound:
		return exitNotFound
	case shield.Conflict, shield.InUse:
		return exitConflict
	case shield.Unauthorized, shield.Forbidden:
		return exitDenied
	case shield.Unavailable:
		return exitUnavailable
	}
	return exitError
}

// env is what commands work with.
type env struct {
	ctx    context.Context
	client *server.Client
	json   bool
	in     io.Reader
	out    io.Writer
	err    io.Writer
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, in io.Reader, out, errOut io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("shield"), kong.Description(description),
		kong.Vars{"version": version.String()},
		kong.Writers(out, errOut),
		kong.Exit(func(status int) { exited = status }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		fmt.Fprintln(errOut, "shield:", err)
		return exitError
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help or --version
		return exited
	}
	if err != nil {
		report(errOut, c.JSON, shield.Errorf(shield.Invalid, "", "%v", err))
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env{ctx: ctx, json: c.JSON, in: in, out: out, err: errOut}
	if e.client, err = c.connect(); err == nil {
		err = parsed.Run(e)
	}
	if err != nil {
		report(errOut, c.JSON, err)
	}
	return statusOf(err)
}

func (c *cli) connect() (*server.Client, error) {
	token := c.Token
	if token == "" && c.TokenFile != "" {
		b, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, shield.FieldErrorf("token-file", "%v", err)
		}
		token = strings.TrimSpace(string(b))
	}
	return server.NewClient(c.API, shield.Secret(token))
}

// report prints an error, and a hint where one helps.
func report(w io.Writer, asJSON bool, err error) {
	if asJSON {
		var e *shield.Error
		field := ""
		if errors.As(err, &e) {
			field = e.Field
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error(), "code": string(shield.CodeOf(err)), "field": field})
		return
	}
	fmt.Fprintln(w, "shield:", err)
	switch shield.CodeOf(err) {
	case shield.Unauthorized:
		fmt.Fprintln(w, "hint: set SHIELD_TOKEN, or SHIELD_TOKEN_FILE to the file admin-token in the daemon's data folder")
	case shield.Unavailable:
		fmt.Fprintln(w, "hint: is shieldd running? SHIELD_API or --api says where")
	}
}
