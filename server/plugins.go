package server

import (
	"context"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func (s *Server) mountPlugins() {
	handle(s, operation{method: "GET", path: "/v1/plugins", id: "listPlugins", tag: "Plugins", summary: "List plugins", role: shield.RoleViewer}, s.listPlugins)
	handle(s, operation{
		method: "GET", path: "/v1/plugins/{ref}", id: "getPlugin", tag: "Plugins", summary: "Show a plugin and the fields of its endpoints",
		role: shield.RoleViewer, fails: []shield.Code{shield.PluginFailed, shield.Unavailable, shield.TimedOut},
	}, s.showPlugin)
}

func (s *Server) listPlugins(ctx context.Context, c *call) ([]plugin.Offer, error) {
	return plugin.Offers(ctx, s.plugins, func(err error) string { return s.explain(c.req.Request, err) }), nil
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
