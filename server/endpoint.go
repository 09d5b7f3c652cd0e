package server

import (
	"context"
	"encoding/json"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// configured is an endpoint as a client wants it, and what was before.
type configured struct {
	row                   string // UUID
	role                  plugin.Role
	plugin, oldPlugin     string // old is empty for a new one
	endpoint, oldEndpoint shield.Endpoint
}

// untouched reports whether an edit leaves the endpoint as it is.
func (c *configured) untouched() bool {
	return c.oldPlugin != "" && same(json.RawMessage(c.endpoint), json.RawMessage(c.oldEndpoint))
}

// sealEndpoint checks an endpoint with its plugin and seals its secrets.
// Where a secret is sent as it was shown, that of the old endpoint is kept,
// but not for another plugin.
func (s *Server) sealEndpoint(ctx context.Context, c configured) (shield.Endpoint, error) {
	moved := c.oldPlugin != "" && c.plugin != c.oldPlugin
	if c.untouched() && !moved {
		return c.oldEndpoint, nil
	}
	info, err := s.plugins.Info(ctx, c.plugin)
	if err != nil {
		return nil, err
	}
	e := c.endpoint
	switch {
	case moved:
		e = s.vault.Redact(e)
	case c.oldPlugin != "":
		if e, err = s.vault.Keep(c.row, e, c.oldEndpoint); err != nil {
			return nil, err
		}
	}
	secrets := info.Secrets(c.role)
	if err := refuseRedacted(e, secrets); err != nil {
		return nil, err
	}
	if e, err = s.plugins.Resolve(ctx, c.plugin, c.role, e); err != nil {
		return nil, err
	}
	return s.vault.Seal(c.row, e, secrets)
}

// refuseRedacted returns Invalid if a secret is only what stands for one.
func refuseRedacted(e shield.Endpoint, secrets []string) error {
	values, err := e.Fields()
	if err != nil {
		return err
	}
	for _, name := range secrets {
		if values[name] == shield.Redacted {
			return shield.FieldErrorf("endpoint."+name, "is %s, which stands for a secret that is stored already, and none is: the secret itself is wanted", shield.Redacted)
		}
	}
	return nil
}
