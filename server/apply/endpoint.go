package apply

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// endpoint checks the endpoint of what has one with its plugin, and compares it
// with what the daemon has; have is nil for a new one.
func (p *planner) endpoint(w *wanted, c *Change, have object) error {
	want, _ := w.values["endpoint"].(object)
	if want == nil {
		return nil
	}
	info, err := p.info(w.values["plugin"].(string))
	switch {
	case shield.CodeOf(err) == shield.NotFound:
		return w.source.errorf([]string{w.kind.key, w.name, "plugin"}, "is %.100q: %v", w.values["plugin"], err)
	case err != nil:
		return err
	}
	secrets := info.Secrets(w.kind.role)
	old, _ := have["endpoint"].(object)
	if have != nil && have["plugin"] != w.values["plugin"] {
		old = object{} // those of another plugin
	}
	for _, name := range secrets {
		if want[name] == shield.Redacted && old[name] != shield.Redacted {
			return w.source.errorf([]string{w.kind.key, w.name, "endpoint", name},
				"is %s, which stands for a secret that the daemon has, and it has none: the secret is wanted, or {from_env: NAME} or {from_file: PATH}", shield.Redacted)
		}
	}
	next, err := resolve(info, w.kind.role, want)
	if err != nil {
		return w.wrap(err)
	}
	if have == nil {
		return nil
	}
	before, err := resolve(info, w.kind.role, old)
	if err != nil {
		before = old // as an older version of the plugin wanted it
	}
	if differ := differences(before, next, secrets); len(differ) > 0 {
		c.Fields = append(c.Fields, differ...)
		c.body["endpoint"] = want
	}
	return nil
}

// info returns what a plugin says of itself.
func (p *planner) info(name string) (*plugin.Info, error) {
	if p.plugins[name] == nil {
		offer, err := p.client.Plugin(p.ctx, name)
		if err != nil {
			return nil, err
		}
		p.plugins[name] = offer.Info
	}
	return p.plugins[name], nil
}

// resolve returns an endpoint in canonical form. A secret that is redacted
// cannot be checked, and stays.
func resolve(info *plugin.Info, role plugin.Role, e object) (object, error) {
	visible, redacted := maps.Clone(e), object{}
	known := *info
	for _, name := range info.Secrets(role) {
		if e[name] == shield.Redacted {
			redacted[name] = shield.Redacted
			delete(visible, name)
			known.Fields = slices.DeleteFunc(slices.Clone(known.Fields), func(f plugin.Field) bool { return f.Name == name })
		}
	}
	b, err := json.Marshal(visible)
	if err != nil {
		return nil, err
	}
	if b, err = known.Resolve(role, b); err != nil {
		return nil, err
	}
	out := object{}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, err
	}
	maps.Copy(out, redacted)
	return out, nil
}

// differences returns the fields in which two endpoints differ. A secret that
// is given cannot be compared, so it counts as another one.
func differences(before, next object, secrets []string) []Differ {
	names := map[string]bool{}
	for _, o := range []object{before, next} {
		for name := range o {
			names[name] = true
		}
	}
	var all []Differ
	for _, name := range slices.Sorted(maps.Keys(names)) {
		from, to := before[name], next[name]
		if equal(from, to) {
			continue
		}
		if slices.Contains(secrets, name) {
			from, to = hide(from), hide(to)
		}
		all = append(all, Differ{"endpoint." + name, from, to})
	}
	return all
}

func hide(v any) any {
	if v == nil {
		return nil
	}
	return shield.Redacted
}

// equal reports whether two values are the same in JSON.
func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
