package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield/internal/version"
)

type manCmd struct{}

// Run prints the manual page in the language of man(7).
func (c *manCmd) Run(e *env, app *kong.Kong) error {
	p := &page{out: e.out}
	p.line(`.TH SHIELD 1 "" %q "User Commands"`, "shield "+version.String())
	p.line(".SH NAME\nshield \\- back up data systems into stores, and restore them")
	p.line(".SH SYNOPSIS\n.B shield\n.I command\n.RI [ flags ]")
	p.line(".SH DESCRIPTION")
	for n, paragraph := range strings.Split(description, "\n\n") {
		if n > 0 {
			p.line(".PP")
		}
		p.line("%s", roff(strings.ReplaceAll(paragraph, "\n", " ")))
	}
	p.line(".SH OPTIONS")
	p.flags(app.Model.Flags)
	p.line(".SH COMMANDS")
	for _, leaf := range app.Model.Leaves(true) {
		p.command(leaf)
	}
	p.line(".SH ENVIRONMENT")
	for _, f := range app.Model.Flags {
		for _, name := range f.Envs {
			p.line(".TP\n.B %s\nIs what\n.B %s\nis.", roff(name), roff("--"+f.Name))
		}
	}
	return p.err
}

// page writes lines until one cannot be written.
type page struct {
	out io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *page) command(leaf *kong.Node) {
	call := path(leaf)
	for _, a := range leaf.Positional {
		call += " " + a.Summary()
	}
	p.line(".SS %s\n%s", roff(call), roff(leaf.Help))
	for _, a := range leaf.Positional {
		p.line(".TP\n.I %s\n%s", roff(a.Summary()), roff(a.Help))
	}
	p.flags(leaf.Flags)
}

func (p *page) flags(flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name := "--" + f.Name
		if f.Short != 0 {
			name = "-" + string(f.Short) + ", " + name
		}
		if !f.IsBool() {
			name += " " + f.FormatPlaceHolder()
		}
		p.line(".TP\n.B %s\n%s", roff(name), roff(f.Help))
	}
}

// roff escapes a text for one line of a page.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
