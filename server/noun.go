package server

import (
	"cmp"
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// A noun serves the five routes of one kind of thing that users make.
type noun[T any] struct {
	server *Server
	path   string
	// filters are the query parameters of its list.
	filters []string
	// aliases are fields that hold the names of what others refer to by
	// UUID: a client may set either.
	aliases map[string]string
	create  func(context.Context, *T) error
	get     func(context.Context, string) (*T, error)
	list    func(context.Context, shield.Filter) ([]*T, error)
	update  func(context.Context, *T) error
	remove  func(context.Context, string) error
	meta    func(*T) *shield.Meta
	// prepare checks what a client sent and makes it fit for the catalog;
	// old is nil for a new one.
	prepare func(ctx context.Context, v, old *T) error
	// defaults fills a new one in, where zero is not what a missing field
	// means.
	defaults func(*T)
	// show makes what the catalog has fit for clients.
	show func(*T)
	// changed is called after each change.
	changed func()
}

func (n *noun[T]) mount(g routes) {
	g.handle("GET", n.path, n.serveList)
	g.handle("POST", n.path, n.serveCreate)
	g.handle("GET", n.path+"/:ref", n.serveGet)
	g.handle("PATCH", n.path+"/:ref", n.servePatch)
	g.handle("DELETE", n.path+"/:ref", n.serveDelete)
}

func (n *noun[T]) answer(w http.ResponseWriter, status int, v *T) error {
	if n.show != nil {
		n.show(v)
	}
	return n.server.json(w, status, v)
}

func (n *noun[T]) serveList(w http.ResponseWriter, req bunrouter.Request) error {
	f, err := n.server.filter(req, n.filters...)
	if err != nil {
		return err
	}
	all, err := n.list(req.Context(), f)
	if err != nil {
		return err
	}
	if n.show != nil {
		for _, v := range all {
			n.show(v)
		}
	}
	return n.server.json(w, http.StatusOK, nonNil(all))
}

// nonNil makes an empty list [] rather than null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func (n *noun[T]) serveCreate(w http.ResponseWriter, req bunrouter.Request) error {
	body, err := readBody(w, req.Request)
	if err != nil {
		return err
	}
	v := new(T)
	if n.defaults != nil {
		n.defaults(v)
	}
	if err := decode(body, v); err != nil {
		return err
	}
	m := n.meta(v)
	*m = shield.Meta{UUID: uuid.NewString(), Name: m.Name, Summary: m.Summary}
	if err := n.prepare(req.Context(), v, nil); err != nil {
		return err
	}
	if err := n.create(req.Context(), v); err != nil {
		return err
	}
	n.changed()
	return n.reread(w, req, http.StatusCreated, m.UUID)
}

// reread answers with what the catalog has now.
func (n *noun[T]) reread(w http.ResponseWriter, req bunrouter.Request, status int, ref string) error {
	v, err := n.get(req.Context(), ref)
	if err != nil {
		return err
	}
	return n.answer(w, status, v)
}

func (n *noun[T]) serveGet(w http.ResponseWriter, req bunrouter.Request) error {
	return n.reread(w, req, http.StatusOK, ref(req))
}

// servePatch changes the fields that the body names and keeps the others. The
// member "version", where given, must be the current one.
func (n *noun[T]) servePatch(w http.ResponseWriter, req bunrouter.Request) error {
	body, err := readBody(w, req.Request)
	if err != nil {
		return err
	}
	old, err := n.get(req.Context(), ref(req))
	if err != nil {
		return err
	}
	next, err := merge(old, body, n.aliases)
	if err != nil {
		return err
	}
	if err := n.prepare(req.Context(), next, old); err != nil {
		return err
	}
	if err := n.update(req.Context(), next); err != nil {
		return err
	}
	n.changed()
	return n.reread(w, req, http.StatusOK, n.meta(old).UUID)
}

func (n *noun[T]) serveDelete(w http.ResponseWriter, req bunrouter.Request) error {
	if err := n.remove(req.Context(), ref(req)); err != nil {
		return err
	}
	n.changed()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func nothing() {}

func (s *Server) targets() *noun[shield.Target] {
	return &noun[shield.Target]{
		server: s, path: "/targets", filters: []string{"name", "plugin", "used", "limit"},
		create: s.catalog.CreateTarget, get: s.catalog.Target, list: s.catalog.Targets,
		update: s.catalog.UpdateTarget, remove: s.catalog.DeleteTarget, changed: nothing,
		meta: func(t *shield.Target) *shield.Meta { return &t.Meta },
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
		server: s, path: "/stores", filters: []string{"name", "plugin", "used", "limit"},
		create: s.catalog.CreateStore, get: s.catalog.Store, list: s.catalog.Stores,
		update: s.catalog.UpdateStore, remove: s.catalog.DeleteStore, changed: nothing,
		meta: func(st *shield.Store) *shield.Meta { return &st.Meta },
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
		server: s, path: "/schedules", filters: []string{"name", "used", "limit"},
		create: s.catalog.CreateSchedule, get: s.catalog.Schedule, list: s.catalog.Schedules,
		update: s.catalog.UpdateSchedule, remove: s.catalog.DeleteSchedule, changed: s.opts.Changed,
		meta: func(sc *shield.Schedule) *shield.Meta { return &sc.Meta },
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
		server: s, path: "/retention", filters: []string{"name", "used", "limit"},
		create: s.catalog.CreatePolicy, get: s.catalog.Policy, list: s.catalog.Policies,
		update: s.catalog.UpdatePolicy, remove: s.catalog.DeletePolicy, changed: nothing,
		meta: func(p *shield.Policy) *shield.Meta { return &p.Meta },
		prepare: func(_ context.Context, p, _ *shield.Policy) error {
			_, err := timespec.Location(p.Timezone)
			return shield.FirstError(p.Validate(), err)
		},
		show: func(p *shield.Policy) { p.MinValid = max(1, p.MinValid) },
	}
}

func (s *Server) jobs() *jobRoutes {
	return &jobRoutes{noun[shield.Job]{
		server: s, path: "/jobs",
		filters: []string{"name", "target", "store", "schedule", "retention_policy", "paused", "limit"},
		aliases: map[string]string{"target": "target_uuid", "store": "store_uuid",
			"schedule": "schedule_uuid", "retention_policy": "retention_uuid"},
		create: s.catalog.CreateJob, get: s.catalog.Job, list: s.catalog.Jobs,
		update: s.catalog.UpdateJob, remove: s.catalog.DeleteJob, changed: s.opts.Changed,
		meta:     func(j *shield.Job) *shield.Meta { return &j.Meta },
		defaults: func(j *shield.Job) { j.Priority = shield.DefaultPriority },
		prepare: func(_ context.Context, j, old *shield.Job) error {
			if old == nil {
				j.Target, j.Store = cmp.Or(j.Target, j.TargetName), cmp.Or(j.Store, j.StoreName)
				j.Schedule, j.Policy = cmp.Or(j.Schedule, j.ScheduleName), cmp.Or(j.Policy, j.PolicyName)
			}
			return j.Validate()
		},
		show: func(j *shield.Job) { j.Overlap = cmp.Or(j.Overlap, shield.OverlapSkip) },
	}}
}

// jobRoutes adds the run action to those of a noun.
type jobRoutes struct{ noun[shield.Job] }

func (j *jobRoutes) mount(g routes) {
	j.noun.mount(g)
	g.handle("POST", "/jobs/:ref/run", func(w http.ResponseWriter, req bunrouter.Request) error {
		return j.server.submit(w, req, shield.Request{Op: shield.OpBackup, Job: ref(req)})
	})
}

// lookup returns the UUID of what a filter names.
func (s *Server) lookup(ctx context.Context, kind, name string) (string, error) {
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
