package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// ModuleLimit is the size, in bytes, of the largest module that is taken.
const ModuleLimit = 64 << 20

// A Library keeps the modules of sandboxed plugins; see plugin/library.
type Library interface {
	Modules(ctx context.Context) ([]*shield.Module, error)
	Inspect(ctx context.Context, name string, module []byte) (*plugin.Proposal, error)
	Install(ctx context.Context, name string, module []byte, agreed string) (*shield.Module, error)
	Grant(ctx context.Context, name string, grant plugin.Grant) error
	Remove(ctx context.Context, name string) error
}

func (s *Server) mountModules() {
	if s.opts.Library == nil {
		return
	}
	op := func(method, path, id, summary string, params ...param) operation {
		return operation{method: method, path: "/v1/modules" + path, id: id, tag: "Modules", summary: summary, role: shield.RoleAdmin, params: params}
	}
	name := param{name: "name", about: "What to call it, if not what the plugin calls itself", typ: huma.TypeString}
	agree := param{name: "agree", about: "The digest of a module whose wishes were agreed to", typ: huma.TypeString}
	wasm := &body{media: []string{"application/wasm"}}

	list := op("GET", "", "listModules", "List the modules of sandboxed plugins")
	list.role = shield.RoleViewer
	handle(s, list, func(ctx context.Context, _ *call) ([]*shield.Module, error) {
		all, err := s.opts.Library.Modules(ctx)
		return nonNil(all), err
	})
	inspect := op("POST", "/inspect", "inspectModule", "Tell what installing a module would mean", name)
	inspect.body, inspect.fails = wasm, []shield.Code{shield.PluginFailed}
	handle(s, inspect, s.inspectModule)
	install := op("POST", "", "installModule", "Install a module", name, agree)
	install.body, install.status, install.fails = wasm, http.StatusCreated, []shield.Code{shield.Conflict, shield.PluginFailed}
	handle(s, install, s.installModule)
	grant := op("PUT", "/{ref}/grant", "grantModule", "Replace what a plugin may do")
	grant.body = bodyOf[plugin.Grant]()
	handle(s, grant, s.grantModule)
	remove := op("DELETE", "/{ref}", "removeModule", "Remove a plugin with all its versions")
	remove.fails = []shield.Code{shield.InUse}
	handle(s, remove, func(ctx context.Context, c *call) (nothing, error) {
		return nothing{}, s.opts.Library.Remove(ctx, c.ref())
	})
}

// readModule returns a module sent as the body of a request.
func (s *Server) readModule(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, s.patientBody(w, req), ModuleLimit))
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, shield.Errorf(shield.Invalid, "", "the module has more than %d bytes", ModuleLimit)
	case err != nil:
		return nil, shield.Errorf(shield.Invalid, "", "the body cannot be read: %w", err)
	case len(b) == 0:
		return nil, shield.Errorf(shield.Invalid, "", "the body is empty: a WebAssembly module is wanted")
	}
	return b, nil
}

func (s *Server) inspectModule(ctx context.Context, c *call) (*plugin.Proposal, error) {
	module, err := s.readModule(c.w, c.req.Request)
	if err != nil {
		return nil, err
	}
	return s.opts.Library.Inspect(ctx, c.query.text("name"), module)
}

func (s *Server) installModule(ctx context.Context, c *call) (*shield.Module, error) {
	module, err := s.readModule(c.w, c.req.Request)
	if err != nil {
		return nil, err
	}
	return s.opts.Library.Install(ctx, c.query.text("name"), module, c.query.text("agree"))
}

func (s *Server) grantModule(ctx context.Context, c *call) (*plugin.Grant, error) {
	body, err := c.read()
	if err != nil {
		return nil, err
	}
	grant, err := plugin.ParseGrant(body)
	if err != nil {
		return nil, err
	}
	return &grant, s.opts.Library.Grant(ctx, c.ref(), grant)
}

// Modules returns all versions of all sandboxed plugins.
func (c *Client) Modules(ctx context.Context) ([]*shield.Module, error) {
	var out []*shield.Module
	return out, c.Do(ctx, http.MethodGet, "/v1/modules", nil, &out)
}

// InspectModule tells what installing a module would mean. An empty name
// stands for the plugin's own.
func (c *Client) InspectModule(ctx context.Context, name string, module []byte) (*plugin.Proposal, error) {
	out := new(plugin.Proposal)
	return out, c.send(ctx, "/v1/modules/inspect?"+url.Values{"name": {name}}.Encode(), module, out)
}

// InstallModule installs a module. agreed is its digest, if the operator
// agreed to what it asks for.
func (c *Client) InstallModule(ctx context.Context, name string, module []byte, agreed string) (*shield.Module, error) {
	out := new(shield.Module)
	return out, c.send(ctx, "/v1/modules?"+url.Values{"name": {name}, "agree": {agreed}}.Encode(), module, out)
}

// GrantModule replaces the grant of a plugin.
func (c *Client) GrantModule(ctx context.Context, name string, grant json.RawMessage) error {
	return c.Do(ctx, http.MethodPut, at("/v1/modules", name, "grant"), grant, nil)
}

// RemoveModule removes a plugin with all its versions.
func (c *Client) RemoveModule(ctx context.Context, name string) error {
	return c.Do(ctx, http.MethodDelete, at("/v1/modules", name), nil, nil)
}
