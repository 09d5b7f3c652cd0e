// Command shield is the command line of shield. It does all through the HTTP
// API of a daemon.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/nativeplugins"
	"github.com/shieldhq/shield/internal/version"
	"github.com/shieldhq/shield/server"
)

// cli is the grammar.
type cli struct {
	API       string           `help:"Address of the daemon (default: that of the current core, or http://127.0.0.1:7643)." env:"SHIELD_API" placeholder:"URL"`
	Core      string           `help:"Name of the core to speak to; see shield core." env:"SHIELD_CORE" placeholder:"NAME"`
	Token     string           `help:"API token. Every user of this host can see it here: prefer the environment or a file." env:"SHIELD_TOKEN" placeholder:"TOKEN"`
	TokenFile string           `help:"File that holds the API token." env:"SHIELD_TOKEN_FILE" placeholder:"FILE"`
	CA        string           `name:"ca" help:"File with certificates, in PEM, to trust beside those that the system trusts." env:"SHIELD_CA" placeholder:"FILE"`
	Config    string           `help:"File that keeps the cores, and the tokens that login gets (default: shield/config.yaml in the user's folder of configuration)." env:"SHIELD_CLIENT_CONFIG" placeholder:"FILE"`
	Output    string           `short:"o" help:"table, wide (all columns, of which nothing is cut), json or yaml." env:"SHIELD_OUTPUT" placeholder:"table|wide|json|yaml"`
	JSON      bool             `help:"Print JSON; errors too, on standard error. The same as --output json." env:"SHIELD_JSON"`
	Format    string           `help:"Go template to print each thing with, of the fields that JSON has: '{{.name}} {{.plugin}}'." placeholder:"TEMPLATE"`
	Version   kong.VersionFlag `help:"Print the version and exit."`

	Status      statusCmd      `cmd:"" help:"Show the state of the daemon."`
	Create      createCmd      `cmd:"" help:"Make a target, store, schedule, retention policy, job, user or token."`
	List        listCmd        `cmd:"" help:"List things of one kind."`
	Show        showCmd        `cmd:"" help:"Show one thing."`
	Edit        editCmd        `cmd:"" aliases:"update" help:"Change a target, store, schedule, retention policy, job, archive, user or token."`
	Delete      deleteCmd      `cmd:"" help:"Delete a thing. Deleting an archive removes it from its store."`
	Run         runCmd         `cmd:"" help:"Run a job now."`
	Pause       pauseCmd       `cmd:"" help:"Stop starting a job by its schedule."`
	Unpause     unpauseCmd     `cmd:"" help:"Start a job by its schedule again."`
	Paused      pausedCmd      `cmd:"" help:"Say whether a job is paused."`
	Restore     restoreCmd     `cmd:"" help:"Restore an archive."`
	Download    downloadCmd    `cmd:"" help:"Write an archive to a file."`
	Verify      verifyCmd      `cmd:"" help:"Read an archive in its store and compare it with the catalog."`
	Tail        tailCmd        `cmd:"" help:"Print the log of a task, or what happens, as it comes."`
	Cancel      cancelCmd      `cmd:"" help:"Cancel a task."`
	Hold        holdCmd        `cmd:"" help:"Keep an archive from being purged."`
	Acknowledge acknowledgeCmd `cmd:"" help:"Say that a suspicious archive is fine."`
	Release     releaseCmd     `cmd:"" help:"Let a held archive be purged."`
	Keep        retentionCmd   `cmd:"" name:"retention" help:"Show what retention does."`
	Test        testCmd        `cmd:"" help:"Test a store, a target or an agent."`
	Probe       probeCmd       `cmd:"" help:"Ask a target what it holds."`
	Reconcile   reconcileCmd   `cmd:"" help:"Compare a store with the catalog."`
	Store       storeCmd       `cmd:"" help:"Check a store."`
	Check       checkCmd       `cmd:"" hidden:"" help:"Check a store."`
	Target      targetCmd      `cmd:"" hidden:"" help:"Test or probe a target."`
	Explain     explainCmd     `cmd:"" help:"Explain a schedule, without a daemon."`
	Plugin      pluginCmd      `cmd:"" help:"Install, grant, check and remove plugins."`
	Apply       applyCmd       `cmd:"" help:"Make and change what YAML files describe."`
	Export      exportCmd      `cmd:"" help:"Print what there is as YAML, for apply."`
	Completion  completionCmd  `cmd:"" help:"Make a shell complete what is typed."`
	Man         manCmd         `cmd:"" help:"Print the manual page: shield man | man -l -"`
	Help        helpCmd        `cmd:"" help:"Show how a command is used, like shield help create target."`
	Audit       auditCmd       `cmd:"" help:"Show the audit log, and check that nobody has tampered with it."`
	Login       loginCmd       `cmd:"" help:"Log in to a core and keep the token that it gives."`
	Logout      logoutCmd      `cmd:"" help:"Revoke the token that login got and forget it."`
	Whoami      whoamiCmd      `cmd:"" help:"Show who the daemon takes this for."`
	Passwd      passwdCmd      `cmd:"" help:"Change one's own password."`
	Cores       coreCmd        `cmd:"" name:"core" help:"Add, choose, list and forget cores: the daemons that are worked with."`
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
	exitInterrupted = 130
)

const description = `Back up data systems into stores, and restore them.

Names work wherever a UUID does. Exit status: 0 done; 1 failed; 2 bad usage or
input; 3 not found; 4 conflict, in use or locked; 5 no or wrong token; 6 the daemon
cannot be reached; 7 the task that was waited for failed; 8 it was canceled;
130 interrupted by a signal, while a task goes on.`

// statusOf is the one table from codes to exit statuses.
func statusOf(err error) int {
	var ended *taskEnded
	if errors.As(err, &ended) {
		if ended.status == shield.TaskPending {
			return exitConflict
		}
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
	case shield.Conflict, shield.InUse, shield.Locked:
		return exitConflict
	case shield.Unauthorized, shield.Forbidden:
		return exitDenied
	case shield.Unavailable, shield.Throttled:
		return exitUnavailable
	}
	return exitError
}

// env is what commands work with.
type env struct {
	ctx    context.Context
	client *server.Client
	place  place // of the client's daemon
	cores  *cores
	flags  *cli
	given  map[string]bool // flags on the command line
	// json is set where data is wanted rather than tables, and encode writes
	// it in the form that is wanted.
	json   bool
	encode func(any) error
	wide   bool // tables with all columns
	in     io.Reader
	out    io.Writer
	err    io.Writer
}

func main() {
	nativeplugins.Main(os.Args)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

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
	args = eitherNumber(parser.Model.Node, helped(args))
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help or --version
		return exited
	}
	e := &env{ctx: context.Background(), in: in, out: out, err: errOut}
	if err != nil {
		more, failed := c.interview(parser, args, err, e)
		if failed != nil {
			report(errOut, c.asJSON(), failed)
			return statusOf(failed)
		}
		if more != nil {
			parsed, err = parser.Parse(more)
		}
	}
	if err != nil {
		report(errOut, c.asJSON() || slices.Contains(args, "--json"), usageError(err))
		return exitUsage
	}
	// The second signal ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	e.ctx, e.flags, e.given = ctx, &c, given(parsed)
	if err := e.shape(&c); err != nil {
		report(errOut, c.asJSON(), err)
		return exitUsage
	}
	// What needs no daemon needs no token either.
	if err = c.connect(e); err == nil || c.alone(parsed.Command(), e) {
		err = c.perform(parser, parsed, args, e)
	}
	if err != nil {
		report(errOut, c.asJSON(), err)
	}
	if err != nil && ctx.Err() != nil {
		return exitInterrupted
	}
	return statusOf(err)
}

// perform runs a command, after it has asked for what is to be edited if the
// command does not say.
func (c *cli) perform(parser *kong.Kong, parsed *kong.Context, args []string, e *env) error {
	if editorWanted(parsed) && e.client != nil {
		return e.inEditor(parsed)
	}
	more, err := c.revise(parsed, args, e)
	if err != nil {
		return err
	}
	if more != nil {
		if parsed, err = parser.Parse(more); err != nil {
			return usageError(err)
		}
	}
	return parsed.Run(e, parser)
}

// alone reports whether a command needs no daemon. Those that are about cores
// need to know which there are.
func (c *cli) alone(command string, e *env) bool {
	verb, _, _ := strings.Cut(command, " ")
	return slices.Contains([]string{"explain", "completion", "man"}, verb) || c.Export.Schema || verb == "core" && e.cores != nil
}

// eitherNumber lets each noun be written in the singular and in the plural.
func eitherNumber(node *kong.Node, args []string) []string {
	args = slices.Clone(args)
	for n := 0; n < len(args); n++ {
		if f := flagOf(node, args[n]); f != nil {
			if !f.IsBool() && !strings.Contains(args[n], "=") {
				n++
			}
			continue
		}
		next := child(node, args[n])
		if next == nil {
			if next = child(node, otherNumber(args[n])); next == nil {
				break
			}
			args[n] = next.Name
		}
		node = next
	}
	return args
}

func otherNumber(noun string) string {
	if noun == "policies" {
		return "policy"
	}
	if stem, many := strings.CutSuffix(noun, "s"); many {
		return stem
	}
	return noun + "s"
}

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The words of a command."`
}

// helped turns no arguments, and those of the command help, into the flag.
func helped(args []string) []string {
	if len(args) > 0 && args[0] != "help" {
		return args
	}
	return append(slices.Clone(args[min(1, len(args)):]), "--help")
}

// usageError names all commands where kong names only some.
func usageError(err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || !strings.HasPrefix(err.Error(), "expected one of") {
		return shield.Errorf(shield.Invalid, "", "%v", err)
	}
	node := parse.Context.Model.Node
	if n := parse.Context.Selected(); n != nil {
		node = n
	}
	var names []string
	for _, c := range node.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return shield.Errorf(shield.Invalid, "", "%s: expected one of %s", path(node), strings.Join(names, ", "))
}

// path is how a command is called, without its synonyms.
func path(n *kong.Node) string {
	if n.Parent == nil {
		return n.Name
	}
	return path(n.Parent) + " " + n.Name
}

// given are the flags on the command line.
func given(parsed *kong.Context) map[string]bool {
	flags := map[string]bool{}
	for _, p := range parsed.Path {
		if p.Flag != nil {
			flags[p.Flag.Name] = true
		}
	}
	return flags
}

// connect makes the client of the daemon that is meant. A token on the command
// line comes first, then, for a core that was named or is the current one, its
// own, then those of the environment, then that of the core at the address. A
// file on the command line comes before the environment.
func (c *cli) connect(e *env) (err error) {
	if e.cores, err = loadCores(c.Config); err != nil {
		return err
	}
	if e.place, err = c.place(e.cores, e.given); err != nil {
		return err
	}
	p := e.place
	p.CA = cmp.Or(c.CA, p.CA)
	own := p.Token != "" || p.TokenFile != ""
	switch {
	case e.given["token"] || e.given["token-file"]:
		p.Token, p.TokenFile = strings.TrimSpace(c.Token), c.TokenFile
		if e.given["token-file"] && !e.given["token"] {
			p.Token = ""
		}
	case own && p.chosen: // what is set is for another daemon
	case strings.TrimSpace(c.Token) != "" || c.TokenFile != "":
		p.Token, p.TokenFile = strings.TrimSpace(c.Token), c.TokenFile
	}
	e.client, err = p.client()
	return err
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
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(w, "shield:", plain(strings.TrimSuffix(line, "\n")))
	}
	if errors.As(err, new(*taskEnded)) {
		return // what it could not reach is not the daemon
	}
	switch shield.CodeOf(err) {
	case shield.Unauthorized:
		fmt.Fprintln(w, "hint: set SHIELD_TOKEN, or SHIELD_TOKEN_FILE to the file admin-token in the daemon's data folder; users: shield login")
	case shield.Unavailable:
		fmt.Fprintln(w, "hint: is shieldd running? SHIELD_API or --api says where")
	}
}
