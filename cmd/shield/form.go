package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield"
	periods "github.com/shieldhq/shield/internal/period"
	"github.com/shieldhq/shield/plugin"
)

// A form asks for the flags of a command that are not on its line.
type form struct {
	e     *env
	ask   *asker
	noun  string // "target"
	given map[string]string
	have  map[string]any // what is edited; nil for a new thing
	args  []string       // the answers, as flags
}

// missing are the flags that a command line lacks for want of which it was
// refused.
func missing(err error) (*kong.Context, []*kong.Flag) {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context == nil || parse.Context.Selected() == nil {
		return nil, nil
	}
	on := given(parse.Context)
	var flags []*kong.Flag
	for _, f := range parse.Context.Selected().Flags {
		if f.Required && !on[f.Name] {
			flags = append(flags, f)
		}
	}
	return parse.Context, flags
}

// verb is the first word of a command.
func verb(n *kong.Node) string { return strings.Fields(path(n))[1] }

// interview asks somebody at a terminal for the flags that a command lacks, and
// returns the command line with them; nil if there is nobody, or nothing to
// ask.
func (c *cli) interview(parser *kong.Kong, args []string, refused error, e *env) ([]string, error) {
	parse, flags := missing(refused)
	ask := newAsker(e.in, e.err)
	if len(flags) == 0 || verb(parse.Selected()) != "create" || ask == nil && !slices.Contains(args, "--editor") {
		return nil, nil
	}
	full := slices.Clone(args)
	for _, f := range flags {
		full = append(full, "--"+f.Name+"="+strings.ToUpper(f.Name))
	}
	parsed, err := parser.Parse(full)
	if err != nil {
		return nil, nil //nolint:nilerr // the first error says more
	}
	if slices.Contains(args, "--editor") {
		return full, nil // of which the editor shows what has to be replaced
	}
	e.flags, e.given = c, given(parsed)
	if err = c.connect(e); err != nil {
		return nil, err
	}
	f := &form{e: e, ask: ask, noun: parse.Selected().Name, given: values(parsed)}
	for _, flag := range flags {
		if err := f.one(flag); err != nil {
			return nil, err
		}
	}
	return append(args, f.args...), nil
}

// values are the texts of the flags of a command.
func values(parsed *kong.Context) map[string]string {
	all := map[string]string{}
	for _, f := range parsed.Selected().Flags {
		if s, ok := parsed.FlagValue(f).(string); ok {
			all[f.Name] = s
		}
	}
	return all
}

// revise asks somebody at a terminal for each flag of an edit that has none,
// with what is now as the preset, and returns the command line with what is to
// change; nil if there is nobody.
func (c *cli) revise(parsed *kong.Context, args []string, e *env) ([]string, error) {
	leaf := parsed.Selected()
	ask := newAsker(e.in, e.err)
	if ask == nil || e.client == nil || leaf == nil || verb(leaf) != "edit" || paths[leaf.Name] == "" || leaf.Name == "archive" {
		return nil, nil
	}
	for _, p := range parsed.Path {
		if p.Flag != nil && slices.Contains(leaf.Flags, p.Flag) {
			return nil, nil
		}
	}
	have, err := e.client.Objects(paths[leaf.Name]).Get(e.ctx, leaf.Positional[0].Target.String())
	if err != nil {
		return nil, err
	}
	f := &form{e: e, ask: ask, noun: leaf.Name, given: map[string]string{}, have: *have}
	for _, flag := range leaf.Flags {
		if slices.Contains([]string{"editor", "limit", "blackout", "password", "password-file"}, flag.Name) {
			continue // more than a line, or asked for by itself
		}
		if err := f.one(flag); err != nil {
			return nil, err
		}
	}
	return append(args, f.args...), nil
}

func (f *form) one(flag *kong.Flag) error {
	if flag.Name == "endpoint" {
		return f.endpoint()
	}
	q := &question{label: flag.Name, help: flag.Help, optional: !flag.Required, preset: f.current(flag)}
	found, err := f.e.values(f.e.ctx, flag.Name, flag.Value)
	if err != nil && (flag.Required || !errors.Is(err, shield.Forbidden)) {
		return err
	}
	if len(found) > 0 {
		for _, c := range found {
			q.words = append(q.words, c.word)
		}
	} else if _, refers := paths[flag.Name]; refers && flag.Required {
		return shield.FieldErrorf(flag.Name, "is wanted, and there is none yet: shield create %s makes one", strings.ReplaceAll(flag.Name, "-", " "))
	}
	if flag.IsBool() {
		q.words = []string{"yes", "no"}
	}
	answer, answered, err := f.ask.ask(q)
	if err != nil || !answered {
		return err
	}
	f.given[flag.Name] = answer
	switch {
	case flag.IsBool() && answer == "no":
		f.args = append(f.args, "--no-"+flag.Name)
	case flag.IsBool():
		f.args = append(f.args, "--"+flag.Name)
	default:
		f.args = append(f.args, "--"+flag.Name+"="+answer)
	}
	return nil
}

// current is the value of a flag of what is edited.
func (f *form) current(flag *kong.Flag) string {
	switch v := f.have[strings.ReplaceAll(flag.Name, "-", "_")].(type) {
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		if flag.PlaceHolder == "TIME" {
			return periods.Format(int64(v))
		}
		return strconv.FormatInt(int64(v), 10)
	}
	return ""
}

// endpoint asks for each field that the plugin declares: for those that have to
// be, and for the others if somebody wants to set them.
func (f *form) endpoint() error {
	name := f.given["plugin"]
	if name == "" {
		name, _ = f.have["plugin"].(string)
	}
	offer, err := f.e.client.Plugin(f.e.ctx, name)
	if err != nil {
		return err
	}
	role := plugin.RoleTarget
	if f.noun == "store" {
		role = plugin.RoleStore
	}
	values, _ := f.have["endpoint"].(map[string]any)
	if values == nil {
		values = map[string]any{}
	}
	before := fmt.Sprint(values)
	var rest []*plugin.Field
	for _, field := range offer.Info.Of(role) {
		if !field.Required {
			rest = append(rest, field)
		} else if err := f.field(offer.Info, role, field, values); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		more, _, err := f.ask.ask(&question{label: "set others", preset: "no", words: []string{"yes", "no"},
			help: fmt.Sprintf("%s has %d more settings, which need not be set: %s.", name, len(rest), fieldNames(rest))})
		if err != nil {
			return err
		}
		if more == "no" {
			rest = nil
		}
	}
	for _, field := range rest {
		if err := f.field(offer.Info, role, field, values); err != nil {
			return err
		}
	}
	if f.have != nil && fmt.Sprint(values) == before {
		return nil
	}
	b, err := json.Marshal(values)
	f.args = append(f.args, "--endpoint="+string(b))
	return err
}

func fieldNames(fields []*plugin.Field) string {
	names := make([]string, len(fields))
	for n, field := range fields {
		names[n] = field.Name
	}
	return strings.Join(names, ", ")
}

// field asks for one field of an endpoint. What is wrong with an answer is said
// at once.
func (f *form) field(info *plugin.Info, role plugin.Role, field *plugin.Field, values map[string]any) error {
	q := &question{
		label: field.Name, help: strings.TrimSpace(field.Title + ". " + field.Help), example: field.Example,
		preset: field.Default, secret: field.IsSecret(), words: slices.Clone(field.Enum), optional: !field.Required,
	}
	if v, set := values[field.Name]; set {
		q.preset = fmt.Sprint(v)
	}
	if field.Type == plugin.TypePEM || field.Type == plugin.TypeText {
		q.help += " @FILE takes it from a file."
	}
	only := *info
	only.Fields = []plugin.Field{*field}
	q.check = func(answer string) error {
		value, err := fromFile(field, answer)
		if err != nil {
			return err
		}
		b, err := json.Marshal(map[string]string{field.Name: value})
		if err != nil {
			return err
		}
		_, err = only.Resolve(role, b)
		return err
	}
	answer, answered, err := f.ask.ask(q)
	if err == nil && answered {
		values[field.Name], err = fromFile(field, answer)
	}
	return err
}

// fromFile returns the content of FILE for @FILE, where a field may have more
// than a line.
func fromFile(field *plugin.Field, answer string) (string, error) {
	name, ok := strings.CutPrefix(answer, "@")
	if !ok || field.Type != plugin.TypePEM && field.Type != plugin.TypeText {
		return answer, nil
	}
	b, err := os.ReadFile(name)
	return string(b), err
}
