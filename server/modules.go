package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/uptrace/bunrouter"

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

func (s *Server) mountModules(g routes) {
	if s.opts.Library == nil {
		return
	}
	g.handle("GET", "/modules", s.listModules)
	g.handle("POST", "/modules/inspect", s.inspectModule)
	g.handle("POST", "/modules", s.installModule)
	g.handle("PUT", "/modules/:ref/grant", s.grantModule)
	g.handle("DELETE", "/modules/:ref", s.removeModule)
}

func (s *Server) listModules(w http.ResponseWriter, req bunrouter.Request) error {
	all, err := s.opts.Library.Modules(req.Context())
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, nonNil(all))
}

// readModule returns a module sent as the body of a request.
func readModule(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, ModuleLimit))
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

// inspectModule tells what installing the module in the body would mean:
// ?name=NAME, if not the plugin's own.
func (s *Server) inspectModule(w http.ResponseWriter, req bunrouter.Request) error {
	q := s.queryOf(req)
	name := q.text("name")
	if err := q.finish(); err != nil {
		return err
	}
	module, err := readModule(w, req.Request)
	if err != nil {
		return err
	}
	p, err := s.opts.Library.Inspect(req.Context(), name, module)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, p)
}

// installModule installs the module in the body: ?name=NAME&agree=DIGEST.
func (s *Server) installModule(w http.ResponseWriter, req bunrouter.Request) error {
	q := s.queryOf(req)
	name, agree := q.text("name"), q.text("agree")
	if err := q.finish(); err != nil {
		return err
	}
	module, err := readModule(w, req.Request)
	if err != nil {
		return err
	}
	m, err := s.opts.Library.Install(req.Context(), name, module, agree)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusCreated, m)
}

func (s *Server) grantModule(w http.ResponseWriter, req bunrouter.Request) error {
	body, err := readBody(w, req.Request)
	if err != nil {
		return err
	}
	grant, err := plugin.ParseGrant(body)
	if err != nil {
		return err
	}
	if err := s.opts.Library.Grant(req.Context(), ref(req), grant); err != nil {
		return err
	}
	return s.json(w, http.StatusOK, grant)
}

func (s *Server) removeModule(w http.ResponseWriter, req bunrouter.Request) error {
	if err := s.opts.Library.Remove(req.Context(), ref(req)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
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
