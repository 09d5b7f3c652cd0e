package apply

import (
	"context"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/shieldhq/shield/internal/period"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/server"
)

// Export writes what the daemon has as one document, in which fields that have
// their defaults are left out, and secrets are redacted. To apply it changes
// nothing.
func Export(ctx context.Context, c *server.Client, w io.Writer) error {
	p := newPlanner(ctx, c, nil)
	var root yaml.MapSlice
	for _, k := range kinds {
		if err := p.load(k); err != nil {
			return err
		}
		if len(p.have[k]) == 0 {
			continue
		}
		var things yaml.MapSlice
		for _, name := range slices.Sorted(maps.Keys(p.have[k])) {
			things = append(things, yaml.MapItem{Key: name, Value: p.export(k, p.have[k][name])})
		}
		root = append(root, yaml.MapItem{Key: k.key, Value: things})
	}
	if root == nil {
		return nil
	}
	return yaml.NewEncoder(w, yaml.IndentSequence(true)).Encode(root)
}

func (p *planner) export(k *kind, o object) yaml.MapSlice {
	out := yaml.MapSlice{}
	for n := range k.fields {
		f := &k.fields[n]
		if e, ok := o[f.name].(object); ok && f.form == endpoint {
			o[f.name] = p.needed(k.role, o["plugin"].(string), e)
		}
		if v := o[f.name]; v != nil && !equal(v, f.preset) && !(f.kept && (v == false || v == "")) {
			out = append(out, yaml.MapItem{Key: f.name, Value: f.write(v)})
		}
	}
	return out
}

// needed returns what of an endpoint the plugin does not fill in by itself; all
// of it, if the plugin is gone.
func (p *planner) needed(role plugin.Role, name string, e object) object {
	info, err := p.info(name)
	if err != nil {
		return e
	}
	all, err := resolve(info, role, e)
	if err != nil {
		return e
	}
	out := maps.Clone(all)
	for field := range all {
		less := maps.Clone(out)
		delete(less, field)
		if same, err := resolve(info, role, less); err == nil && equal(same, all) {
			out = less
		}
	}
	return out
}

// write is the opposite of read.
func (f *field) write(v any) any {
	switch f.form {
	case number:
		return int64(v.(float64))
	case length:
		return period.Format(int64(v.(float64)))
	case endpoint:
		return sorted(v.(object))
	case limit:
		if l := v.(object); len(l) == 2 && l["up"] != nil && l["up"] == l["down"] {
			return l["up"]
		}
		return sorted(v.(object))
	}
	return v
}

// sorted returns a mapping with its keys in the order of the alphabet, and
// whole numbers as such.
func sorted(o object) yaml.MapSlice {
	out := yaml.MapSlice{}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		v := o[name]
		if n, ok := v.(float64); ok && n == math.Trunc(n) {
			v = int64(n)
		}
		out = append(out, yaml.MapItem{Key: name, Value: v})
	}
	return out
}
