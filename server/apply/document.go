package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/shieldhq/shield"
)

// A File is a YAML file that was read.
type File struct {
	Name string // for errors, and the folder that its from_file start at
	Data []byte
}

// Documents are things as files describe them.
type Documents struct {
	wanted map[*kind]map[string]*wanted
	// named are the kinds that a file speaks of at all.
	named map[*kind]bool
}

// wanted is one thing as a file wants it.
type wanted struct {
	kind   *kind
	name   string
	source *source
	values object // of the fields that are given
}

// A source is a document of a file.
type source struct {
	file File
	node ast.Node
}

// Read reads files. Each may hold several documents; they describe different
// things. An error names the file, the line and the column.
func Read(files ...File) (*Documents, error) {
	d := &Documents{wanted: map[*kind]map[string]*wanted{}, named: map[*kind]bool{}}
	for _, k := range kinds {
		d.wanted[k] = map[string]*wanted{}
	}
	for _, f := range files {
		tree, err := parser.ParseBytes(f.Data, 0)
		if err != nil {
			return nil, malformed(f, err)
		}
		for _, doc := range tree.Docs {
			if doc.Body == nil {
				continue
			}
			if err := d.add(&source{f, doc.Body}); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// malformed names the place of what is no YAML, without the text around it,
// which may be a secret.
func malformed(f File, err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		p := at.GetToken().Position
		return shield.Errorf(shield.Invalid, "", "%s:%d:%d: %s", f.Name, p.Line, p.Column, at.GetMessage())
	}
	return shield.Errorf(shield.Invalid, "", "%s: %s", f.Name, yaml.FormatError(err, false, false))
}

func (d *Documents) add(s *source) error {
	var root map[string]any
	if err := yaml.NodeToValue(s.node, &root); err != nil {
		return malformed(s.file, err)
	}
	keys := make([]string, len(kinds))
	for n, k := range kinds {
		keys[n] = k.key
	}
	if err := s.known(nil, root, keys); err != nil {
		return err
	}
	for _, k := range kinds {
		things, given := root[k.key]
		if !given {
			continue
		}
		d.named[k] = true
		if things == nil {
			continue
		}
		byName, ok := things.(map[string]any)
		if !ok {
			return s.errorf([]string{k.key}, "must be a mapping from names to %s", plural(k))
		}
		for name, v := range byName {
			if err := d.addOne(s, k, name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func plural(k *kind) string { return strings.ReplaceAll(k.key, "_", " ") }

func (d *Documents) addOne(s *source, k *kind, name string, v any) error {
	path := []string{k.key, name}
	if old := d.wanted[k][name]; old != nil {
		return s.errorf(path, "is described in %s already", old.source.place(path))
	}
	if err := shield.ValidateName("name", name); err != nil {
		return s.wrap(path, err)
	}
	given, ok := v.(map[string]any)
	if !ok {
		return s.errorf(path, "must be a mapping with the fields of a %s", k.name)
	}
	names := make([]string, len(k.fields))
	for n := range k.fields {
		names[n] = k.fields[n].name
	}
	if err := s.known(path, given, names); err != nil {
		return err
	}
	w := &wanted{kind: k, name: name, source: s, values: object{}}
	for n := range k.fields {
		if err := w.take(&k.fields[n], given); err != nil {
			return err
		}
	}
	if err := k.check(w.whole()); err != nil {
		return w.wrap(err)
	}
	d.wanted[k][name] = w
	return nil
}

// take reads one field of what is given.
func (w *wanted) take(f *field, given map[string]any) error {
	path := []string{w.kind.key, w.name, f.name}
	v := given[f.name]
	if v == nil {
		if f.required {
			return w.source.errorf(path[:2], "has no %s: %s", f.name, lower(f.help))
		}
		return nil
	}
	value, err := f.read(v)
	if err != nil {
		return w.source.errorf(path, "%v", err)
	}
	if f.form == endpoint {
		if err := w.fetch(path, value.(object)); err != nil {
			return err
		}
	}
	if err := reshape(value, &value); err != nil { // numbers as JSON has them
		return w.source.errorf(path, "%v", err)
	}
	w.values[f.name] = value
	return nil
}

func lower(sentence string) string {
	return strings.ToLower(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".")
}

// fetch replaces the values of an endpoint that are elsewhere:
// {from_env: NAME} and {from_file: PATH}.
func (w *wanted) fetch(path []string, e object) error {
	for name, v := range e {
		m, ok := v.(map[string]any)
		if !ok {
			continue
		}
		at := append(slices.Clone(path), name)
		where, from := "", ""
		for where, v = range m {
			from, ok = v.(string)
		}
		if len(m) != 1 || !ok || where != "from_env" && where != "from_file" {
			return w.source.errorf(at, "must be a plain value, or one of {from_env: NAME} and {from_file: PATH}")
		}
		value, err := w.source.value(where, from)
		if err != nil {
			return w.source.errorf(at, "%v", err)
		}
		e[name] = value
	}
	return nil
}

func (s *source) value(where, from string) (string, error) {
	if where == "from_env" {
		if v, set := os.LookupEnv(from); set {
			return v, nil
		}
		return "", fmt.Errorf("is to be the environment variable %.100q, which is not set", from)
	}
	if !filepath.IsAbs(from) {
		from = filepath.Join(filepath.Dir(s.file.Name), from)
	}
	b, err := os.ReadFile(from)
	return strings.TrimSuffix(string(b), "\n"), err
}

// whole returns the thing with what is not given filled in, as a new one has
// it.
func (w *wanted) whole() object {
	o := object{"name": w.name}
	for n := range w.kind.fields {
		f := &w.kind.fields[n]
		if v, given := w.values[f.name]; given {
			o[f.name] = v
		} else if !f.kept {
			o[f.name] = f.preset
		}
	}
	return o
}

// wrap gives an error of a field of the thing its place.
func (w *wanted) wrap(err error) error { return w.source.wrap([]string{w.kind.key, w.name}, err) }

func (s *source) wrap(path []string, err error) error {
	var e *shield.Error
	if !errors.As(err, &e) || e.Code != shield.Invalid {
		return err
	}
	if e.Field != "" && e.Field != "name" {
		path = append(slices.Clone(path), strings.Split(e.Field, ".")...)
	}
	return s.errorf(path, "%s", e.Message)
}

// errorf returns an error about what is at path.
func (s *source) errorf(path []string, format string, args ...any) error {
	return fail(s.place(path), path, format, args...)
}

func fail(place string, path []string, format string, args ...any) error {
	return shield.Errorf(shield.Invalid, "", "%s: %s %s", place, strings.Join(path, "."), fmt.Sprintf(format, args...))
}

// place names the file, line and column of what is at path, or else of the
// nearest thing that holds it.
func (s *source) place(path []string) string {
	for n := len(path); n > 0; n-- {
		if node := s.find(path[:n]); node != nil {
			return s.at(node)
		}
	}
	return s.at(s.node)
}

// find returns what is at path, nil if nothing is.
func (s *source) find(path []string) ast.Node {
	b := (&yaml.PathBuilder{}).Root()
	for _, step := range path {
		b = b.Child(step)
	}
	node, err := b.Build().FilterNode(s.node)
	if err != nil || node == nil || node.GetToken() == nil {
		return nil
	}
	return node
}

func (s *source) at(n ast.Node) string {
	p := n.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", s.file.Name, p.Line, p.Column)
}

// known refuses the first key, in the order of the alphabet, that is not
// known.
func (s *source) known(path []string, m map[string]any, known []string) error {
	var strange []string
	for key := range m {
		if !slices.Contains(known, key) {
			strange = append(strange, key)
		}
	}
	if len(strange) == 0 {
		return nil
	}
	name := slices.Min(strange)
	full := append(slices.Clone(path), name)
	place := s.place(full)
	if mapping, ok := s.find(path).(ast.MapNode); ok {
		for i := mapping.MapRange(); i.Next(); {
			if key := i.Key(); key.GetToken().Value == name {
				place = s.at(key)
			}
		}
	}
	return fail(place, full, "is not known: %s are", strings.Join(known, ", "))
}

// strictLimit decodes a limit, in which each key must be known.
func strictLimit(b []byte) (any, error) {
	var l shield.Limit
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return l, nil
}
