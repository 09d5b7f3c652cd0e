package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/goccy/go-yaml"
	"golang.org/x/term"

	"github.com/shieldhq/shield"
)

// asJSON reports whether JSON is wanted, errors too.
func (c *cli) asJSON() bool { return c.JSON || c.Output == "json" }

// shape makes the environment print in the form that is wanted.
func (e *env) shape(c *cli) error {
	if forms := []string{"", "table", "wide", "json", "yaml"}; !slices.Contains(forms, c.Output) {
		return shield.FieldErrorf("output", "is %.100q: it must be one of %s", c.Output, strings.Join(forms[1:], ", "))
	}
	switch {
	case c.Format != "":
		t, err := template.New("format").Option("missingkey=error").Parse(c.Format)
		if err != nil {
			return shield.FieldErrorf("format", "%v", err)
		}
		e.encode = func(v any) error { return execute(e.out, t, v) }
	case c.asJSON():
		e.encode = func(v any) error { return encodeJSON(e.out, v) }
	case c.Output == "yaml":
		e.encode = func(v any) error { return encodeYAML(e.out, v) }
	}
	e.json, e.wide = e.encode != nil, c.Output == "wide"
	return nil
}

// printJSON prints what the API answered as data.
func (e *env) printJSON(v any) error { return e.encode(v) }

func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// encodeYAML writes what JSON would have, in the same order.
func encodeYAML(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if b, err = yaml.JSONToYAML(b); err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// execute writes a line for each thing.
func execute(w io.Writer, t *template.Template, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var data any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // 1e+06 is no number of bytes
	if err := d.Decode(&data); err != nil {
		return err
	}
	all, many := data.([]any)
	if !many {
		all = []any{data}
	}
	for _, one := range all {
		if err := t.Execute(w, one); err != nil {
			return shield.FieldErrorf("format", "%v", err)
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	return nil
}

// Colours of states. They say nothing that the words do not.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	normal = "\x1b[0m"
)

var colours = map[string]string{
	"valid": green, "done": green, "succeeded": green, "ok": green,
	"failed": red, "invalid": red, "missed": red,
	"running": yellow, "started": yellow, "pending": yellow, "warning": yellow,
	"canceled": faint, "skipped": faint, "expired": faint, "purging": faint, "purged": faint,
}

// painter returns what colours the states in a table, nil where there are to
// be no colours: off a terminal, on one that has none, and where NO_COLOR is
// set.
func painter(w io.Writer, columns []string) func(int, string) string {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return paints(columns)
}

func paints(columns []string) func(int, string) string {
	at := slices.IndexFunc(columns, func(c string) bool { return c == "status" || c == "state" })
	return func(column int, cell string) string {
		if c := colours[cell]; c != "" && column == at {
			return c + cell + normal
		}
		return cell
	}
}
