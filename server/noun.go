package server

import (
	"cmp"
	"context"
	"net/http"
	"reflect"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// A service is what the catalog does with one kind of thing that users make.
type service[T any] struct {
	create func(context.Context, *T) error
	get    func(context.Context, string) (*T, error)
	list   func(context.Context, shield.Filter) ([]*T, error)
	update func(context.Context, *T) error
	remove func(context.Context, string) error
}

// A noun serves the six routes of one kind of thing that users make.
type noun[T any] struct {
	server    *Server
	path, tag string
	// role is what all its routes want; empty: viewer to read, engineer to
	// change.
	role      shield.Role
	one, many string   // for people: "target", "targets"
	params    []param  // of its list
	required  []string // fields of a new one
	// aliases are fields that hold the names of what others refer to by
	// UUID: a client may set either.
	aliases map[string]string
	service service[T]
	meta    func(*T) *shield.Meta
	// prepare checks what a client sent and makes it fit for the catalog;
	// old is nil for a new one.
	prepare func(ctx context.Context, v, old *T) error
	// defaults fills a new one in, where zero is not what a missing field
	// means.
	defaults func(*T)
	// refer gives what is to replace old the references of old.
	refer func(v, old *T)
	// show makes what the catalog has fit for clients.
	show func(*T)
	// changed is called after each change.
	changed func()
}

func (n *noun[T]) mount() {
	s, one, name := n.server, n.path+"/{ref}", reflect.TypeFor[T]().Name()
	op := func(method, path, verb, summary string, role shield.Role) operation {
		return operation{method: method, path: path, id: verb + name, tag: n.tag, summary: summary, role: cmp.Or(n.role, role)}
	}
	list := op("GET", n.path, "list", "List "+n.many, shield.RoleViewer)
	list.id, list.params, list.fails = "list"+n.tag, append(n.params, n.pager().params()...), []shield.Code{shield.NotFound}
	handle(s, list, n.list)
	create := op("POST", n.path, "create", "Make a "+n.one, shield.RoleEngineer)
	create.body, create.status, create.fails = bodyOf[T](n.required...), http.StatusCreated, writeFails
	create.tagged = true
	handle(s, create, n.create)
	get := op("GET", one, "get", "Show a "+n.one, shield.RoleViewer)
	get.tagged = true
	handle(s, get, n.get)
	put := op("PUT", one, "replace", "Replace a "+n.one, shield.RoleEngineer)
	put.body, put.fails, put.tagged, put.guarded = bodyOf[T](n.required...), writeFails, true, true
	handle(s, put, n.put)
	patch := op("PATCH", one, "patch", "Change fields of a "+n.one, shield.RoleEngineer)
	patch.body, patch.fails = bodyOf[T](), writeFails
	patch.body.name, patch.body.media = name+"Patch", []string{"application/merge-patch+json", "application/json"}
	patch.tagged, patch.guarded = true, true
	handle(s, patch, n.patch)
	remove := op("DELETE", one, "delete", "Delete a "+n.one, shield.RoleEngineer)
	remove.fails, remove.guarded = []shield.Code{shield.InUse}, true
	handle(s, remove, n.delete)
}

// writeFails are the codes that a change of what users make can end with, since
// a plugin may be asked about it.
var writeFails = []shield.Code{shield.Conflict, shield.PluginFailed, shield.Unavailable, shield.TimedOut}

// shown makes one fit for clients.
func (n *noun[T]) shown(v *T) *T {
	if n.show != nil {
		n.show(v)
	}
	return v
}

func (n *noun[T]) list(ctx context.Context, c *call) ([]*T, error) {
	all, err := paged(ctx, c, n.pager(), n.service.list)
	for _, v := range all {
		n.shown(v)
	}
	return all, err
}

// nonNil makes an empty list [] rather than null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (n *noun[T]) create(ctx context.Context, c *call) (*T, error) {
	v := new(T)
	if n.defaults != nil {
		n.defaults(v)
	}
	if err := c.decode(v); err != nil {
		return nil, err
	}
	m := n.meta(v)
	*m = shield.Meta{UUID: uuid.NewString(), Name: m.Name, Summary: m.Summary}
	if err := n.prepare(ctx, v, nil); err != nil {
		return nil, err
	}
	if err := n.service.create(ctx, v); err != nil {
		return nil, err
	}
	n.changed()
	return n.find(ctx, c, m.UUID)
}

// find returns what the catalog has now.
func (n *noun[T]) find(ctx context.Context, c *call, ref string) (*T, error) {
	v, err := n.service.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	c.tag(n.meta(v).Version)
	return n.shown(v), nil
}

func (n *noun[T]) get(ctx context.Context, c *call) (*T, error) { return n.find(ctx, c, c.ref()) }

func unchanged() {}

func (s *Server) targets() *noun[shield.Target] {
	return &noun[shield.Target]{
		server: s, path: "/v1/targets", tag: "Targets", one: "target", many: "targets",
		params: []param{byName, byPlugin, byUse}, required: []string{"name", "plugin", "endpoint"},
		service: service[shield.Target]{s.catalog.CreateTarget, s.catalog.Target, s.catalog.Targets, s.catalog.UpdateTarget, s.catalog.DeleteTarget},
		changed: unchanged,
		meta:    func(t *shield.Target) *shield.Meta { return &t.Meta },
		prepare: func(ctx context.Context, t, old *shield.Target) (err error) {
			if err := t.Validate(); err != nil {
				return err
			}
			c := configured{row: t.UUID, role: plugin.RoleTarget, plugin: t.Plugin, endpoint: t.Endpoint}
			if old != nil {
				c.oldPlugin, c.oldEndpoint = old.Plugin, old.Endpoint
			}
			t.Endpoint, err = s.sealEndpoint(ctx, c)
			return err
		},
		show: func(t *shield.Target) { t.Endpoint = s.vault.Redact(t.Endpoint) },
	}
}

func (s *Server) stores() *noun[shield.Store] {
	return &noun[shield.Store]{
		server: s, path: "/v1/stores", tag: "Stores", one: "store", many: "stores",
		params: []param{byName, byPlugin, byUse}, required: []string{"name", "plugin", "endpoint"},
		service: service[shield.Store]{s.catalog.CreateStore, s.catalog.Store, s.catalog.Stores, s.catalog.UpdateStore, s.catalog.DeleteStore},
		changed: unchanged,
		meta:    func(st *shield.Store) *shield.Meta { return &st.Meta },
		prepare: func(ctx context.Context, st, old *shield.Store) (err error) {
			if err := shield.FirstError(st.Validate(), s.opts.CheckLimit(&st.Limit)); err != nil {
				return err
			}
			c := configured{row: st.UUID, role: plugin.RoleStore, plugin: st.Plugin, endpoint: st.Endpoint}
			if old != nil {
				c.oldPlugin, c.oldEndpoint = old.Plugin, old.Endpoint
			}
			st.Endpoint, err = s.sealEndpoint(ctx, c)
			return err
		},
		show: func(st *shield.Store) { st.Endpoint = s.vault.Redact(st.Endpoint) },
	}
}

func (s *Server) schedules() *noun[shield.Schedule] {
	return &noun[shield.Schedule]{
		server: s, path: "/v1/schedules", tag: "Schedules", one: "schedule", many: "schedules",
		params: []param{byName, byUse}, required: []string{"name", "timespec"},
		service: service[shield.Schedule]{s.catalog.CreateSchedule, s.catalog.Schedule, s.catalog.Schedules, s.catalog.UpdateSchedule, s.catalog.DeleteSchedule},
		changed: s.opts.Changed,
		meta:    func(sc *shield.Schedule) *shield.Meta { return &sc.Meta },
		prepare: func(_ context.Context, sc, old *shield.Schedule) error {
			if err := shield.FirstError(sc.Validate(), s.opts.CheckSchedule(sc)); err != nil {
				return err
			}
			// One that was made without a zone goes on in UTC.
			if sc.Timezone == "" && (old == nil || old.Timezone != "") {
				s.fillZone(sc)
			}
			return nil
		},
		show: func(sc *shield.Schedule) {
			sc.Blackout, sc.CatchUp = nonNil(sc.Blackout), cmp.Or(sc.CatchUp, shield.CatchUpOne)
		},
	}
}

// fillZone gives a schedule the daemon's zone, unless its timespec names one.
func (s *Server) fillZone(sc *shield.Schedule) {
	zoned := *sc
	zoned.Timezone = s.opts.Timezone
	if s.opts.CheckSchedule(&zoned) == nil {
		*sc = zoned
	}
}

func (s *Server) policies() *noun[shield.Policy] {
	return &noun[shield.Policy]{
		server: s, path: "/v1/retention", tag: "Policies", one: "retention policy", many: "retention policies",
		params: []param{byName, byUse}, required: []string{"name", "expiry"},
		service: service[shield.Policy]{s.catalog.CreatePolicy, s.catalog.Policy, s.catalog.Policies, s.catalog.UpdatePolicy, s.catalog.DeletePolicy},
		changed: unchanged,
		meta:    func(p *shield.Policy) *shield.Meta { return &p.Meta },
		prepare: func(_ context.Context, p, _ *shield.Policy) error {
			_, err := timespec.Location(p.Timezone)
			return shield.FirstError(p.Validate(), err)
		},
		show: func(p *shield.Policy) { p.MinValid = max(1, p.MinValid) },
	}
}

func (s *Server) jobs() *noun[shield.Job] {
	return &noun[shield.Job]{
		server: s, path: "/v1/jobs", tag: "Jobs", one: "job", many: "jobs",
		params:   []param{byName, byTarget, byStore, bySchedule, byPolicy, byPause},
		required: []string{"name"}, // each reference has two fields
		aliases: map[string]string{"target": "target_uuid", "store": "store_uuid",
			"schedule": "schedule_uuid", "retention_policy": "retention_uuid"},
		service:  service[shield.Job]{s.catalog.CreateJob, s.catalog.Job, s.catalog.Jobs, s.catalog.UpdateJob, s.catalog.DeleteJob},
		changed:  s.opts.Changed,
		meta:     func(j *shield.Job) *shield.Meta { return &j.Meta },
		defaults: func(j *shield.Job) { j.Priority = shield.DefaultPriority },
		prepare: func(ctx context.Context, j, old *shield.Job) error {
			if old == nil {
				j.Target, j.Store = cmp.Or(j.Target, j.TargetName), cmp.Or(j.Store, j.StoreName)
				j.Schedule, j.Policy = cmp.Or(j.Schedule, j.ScheduleName), cmp.Or(j.Policy, j.PolicyName)
			}
			if err := s.wholeJob(ctx, j); err != nil {
				return err
			}
			return j.Validate()
		},
		refer: func(j, old *shield.Job) {
			j.Target, j.Store, j.Schedule, j.Policy = old.Target, old.Store, old.Schedule, old.Policy
			j.TargetName, j.StoreName, j.ScheduleName, j.PolicyName = old.TargetName, old.StoreName, old.ScheduleName, old.PolicyName
		},
		show: func(j *shield.Job) { j.Overlap = cmp.Or(j.Overlap, shield.OverlapSkip) },
	}
}

// lookup returns the UUID of what a filter names.
func (s *Server) lookup(ctx context.Context, kind, name string) (string, error) {
	if err := s.whole(ctx, kind, &name); err != nil {
		return "", err
	}
	switch kind {
	case "target":
		return uuidOf(s.targets().meta)(s.catalog.Target(ctx, name))
	case "store":
		return uuidOf(s.stores().meta)(s.catalog.Store(ctx, name))
	case "schedule":
		return uuidOf(s.schedules().meta)(s.catalog.Schedule(ctx, name))
	case "job":
		return uuidOf(s.jobs().meta)(s.catalog.Job(ctx, name))
	}
	return uuidOf(s.policies().meta)(s.catalog.Policy(ctx, name))
}

func uuidOf[T any](meta func(*T) *shield.Meta) func(*T, error) (string, error) {
	return func(v *T, err error) (string, error) {
		if err != nil {
			return "", err
		}
		return meta(v).UUID, nil
	}
}
