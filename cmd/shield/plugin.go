package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type pluginCmd struct {
	List    listPlugins   `cmd:"" help:"List plugins."`
	Show    showPlugin    `cmd:"" help:"Show a plugin and the fields of its endpoints."`
	Modules modulesCmd    `cmd:"" help:"List the installed modules with their grants."`
	Install installPlugin `cmd:"" help:"Install a WebAssembly module as a plugin, or upgrade it."`
	Upgrade installPlugin `cmd:"" help:"Upgrade a plugin to another module. The old one stays until what it newly asks for is agreed to."`
	Check   checkPlugin   `cmd:"" help:"Run the conformance suite on a plugin and print what passed. Needs no daemon."`
	Remove  removePlugin  `cmd:"" help:"Remove a plugin with all its versions."`
	Grant   grantPlugin   `cmd:"" help:"Replace what a plugin is granted."`
	Revoke  revokePlugin  `cmd:"" help:"Grant a plugin nothing any more."`
}

type modulesCmd struct{}

func (c *modulesCmd) Run(e *env) error {
	all, err := e.client.Modules(e.ctx)
	if err != nil {
		return err
	}
	return printList(e, all, moduleView, "modules")
}

type installPlugin struct {
	File string `arg:"" help:"The module, a .wasm file." type:"existingfile"`
	Name string `help:"Name of the plugin, if not its own."`
	Yes  bool   `short:"y" help:"Agree to what it asks for."`
}

// Run shows what the module asks for and installs it when the operator
// agrees.
func (c *installPlugin) Run(e *env) error {
	module, err := os.ReadFile(c.File)
	if err != nil {
		return shield.FieldErrorf("file", "%v", err)
	}
	p, err := e.client.InspectModule(e.ctx, c.Name, module)
	if err != nil {
		return err
	}
	if !e.json {
		e.propose(p)
	}
	agreed := ""
	if len(p.New) > 0 && (c.Yes || e.agrees()) {
		agreed = p.Digest
	}
	m, err := e.client.InstallModule(e.ctx, c.Name, module, agreed)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(m)
	}
	_, err = fmt.Fprintf(e.out, "installed plugin %s %s (%s)\n", m.Name, m.Version, m.Digest)
	return err
}

// propose says in words what the module asks for.
func (e *env) propose(p *plugin.Proposal) {
	fmt.Fprintf(e.err, "%s %s by %s, %s\n", p.Name, p.Info.Version, p.Info.Author, p.Digest)
	if p.Replaces != "" {
		fmt.Fprintf(e.err, "replaces %s\n", p.Replaces)
	}
	if len(p.Asks) == 0 {
		fmt.Fprintln(e.err, "It asks for nothing beyond its streams.")
		return
	}
	fmt.Fprintln(e.err, "It")
	for _, a := range p.Asks {
		mark := "  "
		if p.Replaces != "" && slices.Contains(p.New, a) {
			mark = "+ " // beyond what the version before is granted
		}
		fmt.Fprintf(e.err, "%s%s\n", mark, a)
	}
}

// agrees asks on a terminal; elsewhere nobody agrees.
func (e *env) agrees() bool {
	f := e.terminal()
	if f == nil {
		return false
	}
	fmt.Fprint(e.err, "Grant this? [y/N] ")
	answer, _ := bufio.NewReader(f).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

type removePlugin struct{ refArg }

func (c *removePlugin) Run(e *env) error {
	if err := e.client.RemoveModule(e.ctx, c.Ref); err != nil || e.json {
		return err
	}
	_, err := fmt.Fprintf(e.out, "removed plugin %s\n", c.Ref)
	return err
}

type grantPlugin struct {
	refArg
	Grant string `arg:"" help:"What it may do: JSON, @FILE, or - for standard input." placeholder:"JSON|@FILE|-"`
}

func (c *grantPlugin) Run(e *env) error {
	grant, err := e.endpoint(c.Grant)
	if err != nil {
		return err
	}
	return e.grant(c.Ref, grant)
}

type revokePlugin struct{ refArg }

func (c *revokePlugin) Run(e *env) error { return e.grant(c.Ref, shield.Endpoint(`{}`)) }

func (e *env) grant(name string, grant shield.Endpoint) error {
	text, err := grant.MarshalJSON()
	if err != nil {
		return err
	}
	if err := e.client.GrantModule(e.ctx, name, text); err != nil || e.json {
		return err
	}
	_, err = fmt.Fprintf(e.out, "changed the grant of plugin %s\n", name)
	return err
}

var moduleView = view[shield.Module]{
	kind: "plugin", columns: []string{"name", "version", "digest", "current", "bundled", "grant"},
	row: func(m *shield.Module) []string {
		return []string{m.Name, m.Version, m.Digest, yes(m.Current), yes(m.Bundled), string(m.Grant)}
	},
	uuid: func(m *shield.Module) string { return m.Digest },
}
