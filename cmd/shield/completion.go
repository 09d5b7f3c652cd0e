package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/shieldhq/shield/plugin"
)

type completionCmd struct {
	Bash  bashCmd  `cmd:"" help:"Print what makes bash complete commands, flags and names."`
	Zsh   zshCmd   `cmd:"" help:"The same for zsh."`
	Fish  fishCmd  `cmd:"" help:"The same for fish."`
	Words wordsCmd `cmd:"" hidden:"" help:"Print how a command line can go on, for the shells."`
}

type bashCmd struct{}

// Run prints a function for bash: it falls back on names of files.
func (c *bashCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, `_shield() {
	local line
	COMPREPLY=()
	while IFS= read -r line; do
		COMPREPLY+=("$(printf %q "${line%%$'\t'*}")")
	done < <("${COMP_WORDS[0]}" completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _shield shield
`)
	return err
}

type zshCmd struct{}

// Run prints a function for zsh.
func (c *zshCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, `#compdef shield
_shield() {
	local -a all
	local line
	while IFS= read -r line; do
		all+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done < <("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)
	if (( $#all )); then _describe shield all; else _files; fi
}
compdef _shield shield
`)
	return err
}

type fishCmd struct{}

// Run prints functions for fish.
func (c *fishCmd) Run(e *env) error {
	_, err := io.WriteString(e.out, `function __shield_words
	set -l all (commandline -opc) (commandline -ct)
	$all[1] completion words -- $all[2..-1] 2>/dev/null
end
complete -c shield -n 'count (__shield_words) >/dev/null' -f -a '(__shield_words)'
`)
	return err
}

type wordsCmd struct {
	Words []string `arg:"" optional:"" help:"The words after shield, of which the last is unfinished."`
}

// A candidate is a word that can come next, and what it means.
type candidate struct{ word, help string }

// patience is how long names are waited for.
const patience = 2 * time.Second

// Run prints each candidate with its meaning. What fails is silent: somebody is
// typing.
func (c *wordsCmd) Run(e *env, app *kong.Kong) error {
	words := joined(c.Words)
	if len(words) == 0 {
		words = []string{""}
	}
	for _, found := range e.complete(app.Model.Node, words) {
		fmt.Fprintf(e.out, "%s\t%s\n", found.word, firstSentence(found.help))
	}
	return nil
}

// joined undoes that bash takes --flag=value for three words.
func joined(words []string) []string {
	var out []string
	for n := range words {
		if words[n] == "=" && len(out) > 0 && strings.HasPrefix(out[len(out)-1], "--") {
			if n == len(words)-1 {
				out = append(out, "")
			}
			continue
		}
		out = append(out, words[n])
	}
	return out
}

func firstSentence(help string) string {
	if i := strings.Index(help, ". "); i >= 0 {
		return help[:i]
	}
	return strings.TrimSuffix(help, ".")
}

// complete returns how the last of the words can go on.
func (e *env) complete(node *kong.Node, words []string) []candidate {
	last := words[len(words)-1]
	given := 0 // arguments of the command
	for n := 0; n < len(words)-1; n++ {
		word := words[n]
		if f := flagOf(node, word); f != nil {
			if !f.IsBool() && !strings.Contains(word, "=") {
				if n++; n == len(words)-1 {
					return matching(e.offered(f.Name, f.Value), last)
				}
			}
			continue
		}
		switch next := child(node, word); {
		case next != nil:
			node = next
		case given == len(node.Positional):
			return nil // no command, or one argument too many
		default:
			given++
		}
	}
	if name, value, ok := strings.Cut(last, "="); ok {
		if f := flagOf(node, name); f != nil {
			all := matching(e.offered(f.Name, f.Value), value)
			for n := range all {
				all[n].word = name + "=" + all[n].word
			}
			return all
		}
	}
	if strings.HasPrefix(last, "-") {
		return matching(flags(node), last)
	}
	var all []candidate
	for _, c := range node.Children {
		if !c.Hidden {
			all = append(all, candidate{c.Name, c.Help})
		}
	}
	if given < len(node.Positional) {
		all = append(all, e.offered(node.Name, node.Positional[given])...)
	}
	return matching(all, last)
}

func matching(all []candidate, prefix string) []candidate {
	return slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, prefix) })
}

func child(node *kong.Node, word string) *kong.Node {
	for _, c := range node.Children {
		if c.Name == word || slices.Contains(c.Aliases, word) {
			return c
		}
	}
	return nil
}

func flagOf(node *kong.Node, word string) *kong.Flag {
	name, _, _ := strings.Cut(word, "=")
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			if name == "--"+f.Name || f.Short != 0 && name == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

func flags(node *kong.Node) []candidate {
	var all []candidate
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			all = append(all, candidate{"--" + f.Name, f.Help})
			if f.Tag != nil && f.Tag.Negatable != "" {
				all = append(all, candidate{"--no-" + f.Name, f.Help})
			}
		}
	}
	return all
}

// paths are the lists that names come from, by the command or flag that wants
// one.
var paths = map[string]string{
	"target": "/v1/targets", "to": "/v1/targets", "confirm": "/v1/targets", "store": "/v1/stores", "schedule": "/v1/schedules",
	"policy": "/v1/retention", "retention-policy": "/v1/retention", "preview": "/v1/retention", "job": "/v1/jobs",
	"archive": "/v1/archives", "task": "/v1/tasks", "user": "/v1/users", "who": "/v1/users", "token": "/v1/tokens",
}

// offered returns the values that are known soon: whoever completes a word
// does not want to wait for a daemon, nor to be told what is wrong with it.
func (e *env) offered(name string, v *kong.Value) []candidate {
	ctx, stop := context.WithTimeout(e.ctx, patience)
	defer stop()
	all, _ := e.values(ctx, name, v)
	return all
}

// values returns what a flag, or an argument of the command called name, can
// be; nothing if that is not known.
func (e *env) values(ctx context.Context, name string, v *kong.Value) ([]candidate, error) {
	if v.Enum != "" {
		return plainly(v.EnumSlice()), nil
	}
	if v.Flag != nil && strings.Contains(v.Flag.PlaceHolder, "|") && strings.ToLower(v.Flag.PlaceHolder) == v.Flag.PlaceHolder {
		return plainly(strings.Split(v.Flag.PlaceHolder, "|")), nil
	}
	if name == "core" && e.cores != nil {
		return plainly(slices.Sorted(maps.Keys(e.cores.Cores))), nil
	}
	if e.client == nil {
		return nil, nil
	}
	if name == "plugin" {
		return e.pluginNames(ctx)
	}
	path, known := paths[name]
	if !known || name == "token" && v.Flag != nil { // the flag wants a value, not a name
		return nil, nil
	}
	q := url.Values{}
	if name == "archive" || name == "task" {
		q.Set("limit", "50")
	}
	all, err := e.client.Objects(path).List(ctx, q)
	if err != nil {
		return nil, err
	}
	found := make([]candidate, 0, len(all))
	for _, o := range all {
		found = append(found, named(*o))
	}
	return found, nil
}

func plainly(words []string) []candidate {
	all := make([]candidate, len(words))
	for n, w := range words {
		all[n].word = w
	}
	return all
}

func (e *env) pluginNames(ctx context.Context) ([]candidate, error) {
	offers, err := e.client.Plugins(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]candidate, len(offers))
	for n, o := range offers {
		all[n] = candidate{o.Name, describe(o)}
	}
	return all, nil
}

func describe(o plugin.Offer) string {
	if o.Info == nil {
		return o.Error
	}
	return o.Info.Summary
}

// named is the candidate that stands for a thing: its name, or its UUID if it
// has none.
func named(o map[string]any) candidate {
	text := func(field string) string {
		s, _ := o[field].(string)
		return plain(s)
	}
	if name := text("name"); name != "" {
		return candidate{name, text("summary")}
	}
	var words []string
	for _, field := range []string{"op", "status", "target", "taken_at", "requested_at"} {
		if s := text(field); s != "" {
			words = append(words, s)
		}
	}
	return candidate{text("uuid"), strings.Join(words, " ")}
}
