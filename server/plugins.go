package server

import (
	"context"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func (s *Server) mountPlugins() {
	handle(s, operation{method: "GET", path: "/v1/plugins", id: "listPlugins", tag: "Plugins", summary: "List plugins", role: shield.RoleViewer, params: pluginPager.params()}, s.listPlugins)
	handle(s, operation{
		method: "GET", path: "/v1/plugins/{ref}", id: "getPlugin", tag: "Plugins", summary: "Show a plugin and the fields of its endpoints",
		role: shield.RoleViewer, fails: []shield.Code{shield.PluginFailed, shield.Unavailable, shield.TimedOut},
	}, s.showPlugin)
}

func (s *Server) listPlugins(ctx context.Context, c *call) ([]plugin.Offer, error) {
	return paged(ctx, c, pluginPager, func(ctx context.Context, f shield.Filter) ([]plugin.Offer, error) {
		some := pluginsOf{s.plugins, namesOf(s.plugins.Names(), f)}
		return plugin.Offers(ctx, some, func(err error) string { return s.explain(c.req.Request, err) }), nil
	})
}

var pluginPager = &pager[plugin.Offer]{
	usual: "name", id: func(o plugin.Offer) string { return o.Name },
	keys: map[string]func(plugin.Offer) string{"name": func(o plugin.Offer) string { return o.Name }},
}

// pluginsOf are some of the plugins.
type pluginsOf struct {
	Plugins
	names []string
}

func (p pluginsOf) Names() []string { return p.names }

// namesOf returns those names that a filter wants, in its order.
func namesOf(all []string, f shield.Filter) (names []string) {
	order := strings.Compare
	if f.Sort == "-name" {
		order = func(a, b string) int { return strings.Compare(b, a) }
	}
	for _, name := range slices.SortedFunc(slices.Values(all), order) {
		if f.From == nil || order(name, f.From.ID) > 0 {
			names = append(names, name)
		}
	}
	if f.Limit > 0 {
		names = names[:min(f.Limit, len(names))]
	}
	return names
}

func (s *Server) showPlugin(ctx context.Context, c *call) (*plugin.Offer, error) {
	name, names := c.ref(), s.plugins.Names()
	if !slices.Contains(names, name) {
		return nil, shield.Errorf(shield.NotFound, "", "there is no plugin %.100q: this host has %s", name, strings.Join(names, ", "))
	}
	info, err := s.plugins.Info(ctx, name)
	if err != nil {
		return nil, err
	}
	return &plugin.Offer{Name: name, Info: &info}, nil
}
