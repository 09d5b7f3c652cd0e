// Package apply brings a daemon to the state that YAML documents describe, and
// describes the state of a daemon as one.
//
// Names are identity: what has a name that the daemon does not know is made,
// what has one that it knows is changed to be as described. A field that is
// left out means its default. Everything is checked before anything is
// changed.
package apply

import (
	"context"
	"maps"
	"slices"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/server"
)

// An Action is what becomes of a thing.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
	Keep   Action = "keep"
)

// A Change is what becomes of one thing.
type Change struct {
	Kind   string   `json:"kind"` // "retention policy"
	Name   string   `json:"name"`
	Action Action   `json:"action"`
	Fields []Differ `json:"fields,omitempty"` // of an update

	kind *kind
	body object
}

// A Differ is a field that is not as described. Secrets are redacted.
type Differ struct {
	Field string `json:"field"` // "endpoint.host"
	From  any    `json:"from"`
	To    any    `json:"to"`
}

// A Plan is all that is to be done, in order.
type Plan struct {
	Changes []*Change
	client  *server.Client
}

// planner compares documents with a daemon.
type planner struct {
	ctx     context.Context
	client  *server.Client
	docs    *Documents
	have    map[*kind]map[string]object
	plugins map[string]*plugin.Info
	plan    *Plan
}

// Plan compares what is described with what the daemon has, and changes
// nothing. With prune, what the daemon has and the documents do not describe is
// to be deleted, if they speak of its kind at all.
func (d *Documents) Plan(ctx context.Context, c *server.Client, prune bool) (*Plan, error) {
	p := newPlanner(ctx, c, d)
	for _, k := range kinds {
		if err := p.load(k); err != nil {
			return nil, err
		}
	}
	for _, k := range kinds {
		for _, name := range slices.Sorted(maps.Keys(d.wanted[k])) {
			if err := p.compare(d.wanted[k][name]); err != nil {
				return nil, err
			}
		}
	}
	if prune {
		p.prune()
	}
	return p.plan, nil
}

func newPlanner(ctx context.Context, c *server.Client, d *Documents) *planner {
	return &planner{ctx: ctx, client: c, docs: d, have: map[*kind]map[string]object{}, plugins: map[string]*plugin.Info{}, plan: &Plan{client: c}}
}

func (p *planner) load(k *kind) error {
	all, err := p.client.Objects(k.path).List(p.ctx, nil)
	if err != nil {
		return err
	}
	p.have[k] = map[string]object{}
	for _, o := range all {
		name, _ := (*o)["name"].(string)
		p.have[k][name] = *o
	}
	return nil
}

// prune deletes what is not described, the things that refer to others first.
func (p *planner) prune() {
	for _, k := range slices.Backward(kinds) {
		if !p.docs.named[k] {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(p.have[k])) {
			if p.docs.wanted[k][name] == nil {
				p.plan.Changes = append(p.plan.Changes, &Change{Kind: k.name, Name: name, Action: Delete, kind: k})
			}
		}
	}
}

// compare adds what becomes of one thing to the plan.
func (p *planner) compare(w *wanted) error {
	if err := p.refers(w); err != nil {
		return err
	}
	c := &Change{Kind: w.kind.name, Name: w.name, Action: Create, kind: w.kind}
	p.plan.Changes = append(p.plan.Changes, c)
	have := p.have[w.kind][w.name]
	if have == nil {
		c.body = w.whole()
		return p.endpoint(w, c, nil)
	}
	c.Action, c.body = Keep, object{"version": have["version"]}
	for n := range w.kind.fields {
		f := &w.kind.fields[n]
		if f.form != endpoint {
			f.compare(w, have, c)
		}
	}
	if err := p.endpoint(w, c, have); err != nil {
		return err
	}
	if len(c.Fields) > 0 {
		c.Action = Update
	}
	return nil
}

// refers refuses references to what is neither described nor there.
func (p *planner) refers(w *wanted) error {
	for n := range w.kind.fields {
		f := &w.kind.fields[n]
		if f.form != reference {
			continue
		}
		k, name := named(f.of), w.values[f.name].(string)
		if p.docs.wanted[k][name] == nil && p.have[k][name] == nil {
			return w.source.errorf([]string{w.kind.key, w.name, f.name}, "is %.100q: there is no %s of that name, neither here nor at the daemon", name, f.of)
		}
	}
	return nil
}

// compare notes how a field differs from what the daemon has.
func (f *field) compare(w *wanted, have object, c *Change) {
	want, given := w.values[f.name]
	if !given {
		if f.kept {
			return
		}
		want = f.preset
	}
	if !equal(want, have[f.name]) {
		c.Fields = append(c.Fields, Differ{f.name, have[f.name], want})
		c.body[f.name] = want
	}
}

// Run does what is planned, in order, and calls done after each step. It ends
// at the first that fails: what was done stays, and the same documents can be
// applied again.
func (p *Plan) Run(ctx context.Context, done func(*Change)) error {
	for _, c := range p.Changes {
		n := p.client.Objects(c.kind.path)
		var err error
		switch c.Action {
		case Create:
			_, err = n.Create(ctx, &c.body)
		case Update:
			_, err = n.Edit(ctx, c.Name, c.body)
		case Delete:
			err = n.Delete(ctx, c.Name)
		}
		if err != nil {
			return c.failed(err)
		}
		done(c)
	}
	return nil
}

// failed says which step it was.
func (c *Change) failed(err error) error {
	return shield.Errorf(shield.CodeOf(err), string(c.Action)+" "+c.Kind+" "+c.Name, "%w", err)
}
