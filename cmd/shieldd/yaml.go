package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// settings resolves flags from a YAML mapping.
type settings map[string]any

var _ kong.Resolver = settings(nil)

// loadYAML reads a configuration file. Errors show the place in it.
func loadYAML(r io.Reader) (kong.Resolver, error) {
	s := settings{}
	if err := yaml.NewDecoder(r).Decode(&s); err != nil && err != io.EOF {
		return nil, fmt.Errorf("the configuration file is not valid: %s", yaml.FormatError(err, false, true))
	}
	return s, nil
}

// Validate refuses keys that are no setting.
func (s settings) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, f := range app.Flags {
		known[f.Name] = true
	}
	delete(known, "config")
	delete(known, "help")
	delete(known, "version")
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !known[name] {
			return fmt.Errorf("the configuration file has the unknown setting %q: %s are known", name,
				strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}

// Resolve returns the value of a flag that neither the command line nor the
// environment gave. Kong asks for those that the environment gave, too, and
// would let the file win.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	for _, name := range f.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return s[f.Name], nil
}
