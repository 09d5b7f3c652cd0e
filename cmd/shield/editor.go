package main

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server/apply"
)

// editorWanted reports whether a command is to be answered in an editor.
func editorWanted(parsed *kong.Context) bool {
	if parsed.Selected() == nil {
		return false
	}
	for _, f := range parsed.Selected().Flags {
		if on, _ := parsed.FlagValue(f).(bool); on && f.Name == "editor" {
			return true
		}
	}
	return false
}

// inEditor lets somebody write or change a thing as YAML.
func (e *env) inEditor(parsed *kong.Context) error {
	leaf := parsed.Selected()
	kind := leaf.Name
	if kind == "policy" {
		kind = "retention policy"
	}
	var text []byte
	var err error
	if verb(leaf) == "create" {
		set := map[string]any{}
		for name, v := range values(parsed) {
			if name = strings.ReplaceAll(name, "-", "_"); v != "" && name != "name" && name != "endpoint" && name != "limit" {
				set[name] = v
			}
		}
		text, err = apply.Template(kind, values(parsed)["name"], set)
	} else {
		text, err = apply.Describe(e.ctx, e.client, kind, leaf.Positional[0].Target.String())
	}
	if err != nil {
		return err
	}
	return e.editUntilGood(kind, text)
}

// editUntilGood opens the editor again, with what was wrong, until what is
// written can be applied, or nothing was changed.
func (e *env) editUntilGood(kind string, text []byte) error {
	f, err := os.CreateTemp("", "shield-*.yml") // 0600: it may get secrets
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return err
	}
	shown, wrong := text, error(nil)
	for {
		if err := os.WriteFile(f.Name(), shown, 0o600); err != nil {
			return err
		}
		if err := e.open(f.Name()); err != nil {
			return err
		}
		written, err := os.ReadFile(f.Name())
		if err != nil {
			return err
		}
		if bytes.Equal(withoutRemarks(written), withoutRemarks(shown)) {
			if wrong != nil {
				return wrong
			}
			return shield.Errorf(shield.Canceled, "", "nothing was written: nothing was done")
		}
		if wrong = e.applyOne(kind, f.Name(), written); shield.CodeOf(wrong) != shield.Invalid {
			return wrong
		}
		shown = append(remark(wrong), withoutRemarks(written)...)
	}
}

// remarks begin the lines that say what is wrong.
const remarks = "# WRONG: "

func remark(err error) []byte {
	return []byte(remarks + strings.ReplaceAll(err.Error(), "\n", "\n"+remarks) + "\n")
}

func withoutRemarks(text []byte) []byte {
	for bytes.HasPrefix(text, []byte(remarks)) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text
}

// open runs the editor of whoever is there.
func (e *env) open(file string) error {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	c := exec.CommandContext(e.ctx, "sh", "-c", editor+` "$1"`, "sh", file)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return shield.Errorf(shield.Invalid, "", "the editor %q failed: %w", editor, err)
	}
	return nil
}

// applyOne applies a document that describes one thing.
func (e *env) applyOne(kind, file string, text []byte) error {
	// What is wrong is written above the text, so lines are counted without.
	docs, err := apply.Read(apply.File{Name: file, Data: withoutRemarks(text)})
	if err != nil {
		return err
	}
	plan, err := docs.Plan(e.ctx, e.client, false)
	if err != nil {
		return err
	}
	if len(plan.Changes) != 1 || plan.Changes[0].Kind != kind {
		return shield.Errorf(shield.Invalid, "", "one %s is wanted here: shield apply takes more than that", kind)
	}
	if err := plan.Run(e.ctx, func(c *apply.Change) { e.printChange(c, false) }); err != nil {
		return err
	}
	if e.json {
		return e.printJSON(plan.Changes[0])
	}
	return nil
}
