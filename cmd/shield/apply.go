package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server/apply"
)

type applyCmd struct {
	File   []string `short:"f" help:"YAML file, or - for standard input. Can be repeated." required:"" sep:"none" placeholder:"FILE|-"`
	DryRun bool     `help:"Only say what would be done."`
	Prune  bool     `help:"Delete what the files do not describe, of the kinds that they speak of."`
}

func (c *applyCmd) Run(e *env) error {
	files := make([]apply.File, len(c.File))
	for n, name := range c.File {
		var err error
		if files[n], err = e.read(name); err != nil {
			return err
		}
	}
	docs, err := apply.Read(files...)
	if err != nil {
		return err
	}
	plan, err := docs.Plan(e.ctx, e.client, c.Prune)
	if err != nil {
		return err
	}
	if !c.DryRun {
		if err := plan.Run(e.ctx, func(ch *apply.Change) { e.printChange(ch, false) }); err != nil {
			return err
		}
	} else {
		for _, ch := range plan.Changes {
			e.printChange(ch, true)
		}
	}
	if e.json {
		return e.printJSON(plan.Changes)
	}
	return nil
}

// read reads a file, or standard input for -.
func (e *env) read(name string) (apply.File, error) {
	var b []byte
	var err error
	if name == "-" {
		name = "standard input"
		b, err = io.ReadAll(e.in)
	} else {
		b, err = os.ReadFile(name)
	}
	if err != nil {
		return apply.File{}, shield.FieldErrorf("file", "%v", err)
	}
	return apply.File{Name: name, Data: b}, nil
}

var changeWords = map[apply.Action][2]string{
	apply.Create: {"created", "would create"}, apply.Update: {"changed", "would change"},
	apply.Delete: {"deleted", "would delete"}, apply.Keep: {"unchanged", "unchanged"},
}

// printChange says what became of a thing, or would.
func (e *env) printChange(c *apply.Change, dry bool) {
	if e.json {
		return
	}
	word := changeWords[c.Action][0]
	if dry {
		word = changeWords[c.Action][1]
	}
	fmt.Fprintf(e.out, "%s %s %s\n", word, c.Kind, plain(c.Name))
	for _, d := range c.Fields {
		fmt.Fprintf(e.out, "  %s: %s -> %s\n", d.Field, literal(d.From), literal(d.To))
	}
}

// literal shows a value of a field on one line.
func literal(v any) string {
	if v == nil {
		return "none"
	}
	var b strings.Builder
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(v); err != nil {
		return err.Error()
	}
	return plain(strings.TrimSuffix(b.String(), "\n"))
}

type exportCmd struct {
	Schema bool `help:"Print the JSON Schema of such files, for editors; needs no daemon."`
}

func (c *exportCmd) Run(e *env) error {
	if c.Schema {
		_, err := e.out.Write(apply.Schema())
		return err
	}
	return apply.Export(e.ctx, e.client, e.out)
}
