package exec

import (
	"context"
	"encoding/json"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A session is a target or a store, opened.
type session struct {
	plugin   *Plugin
	info     plugin.Info
	role     plugin.Role
	endpoint shield.Endpoint
	secrets  []string
	log      plugin.Log
}

func (s *session) delivery() plugin.Delivery {
	if s.info.Endpoint == "" {
		return plugin.DeliverArgv
	}
	return s.info.Endpoint
}

// extended reports whether the plugin speaks more than the original protocol.
func (s *session) extended() bool { return s.info.Endpoint != "" || len(s.info.Actions) > 0 }

// portsAsText returns e with its ports as strings: programs written for the
// original protocol refuse numbers there.
func portsAsText(info *plugin.Info, e shield.Endpoint) (shield.Endpoint, error) {
	m := map[string]json.RawMessage{}
	if err := e.Decode(&m); err != nil {
		return nil, err
	}
	changed := false
	for n := range info.Fields {
		f := &info.Fields[n]
		if v := m[f.Name]; f.Type == plugin.TypePort && len(v) > 0 && v[0] >= '0' && v[0] <= '9' {
			m[f.Name] = json.RawMessage(`"` + string(v) + `"`)
			changed = true
		}
	}
	if !changed {
		return e, nil
	}
	b, err := json.Marshal(m)
	return shield.Endpoint(b), err
}

// start starts an action. input is nil for one that reads nothing.
func (s *session) start(ctx context.Context, a plugin.Action, input io.Reader, args ...string) (*process, error) {
	return s.plugin.start(ctx, &command{
		action:   a,
		args:     args,
		role:     s.role,
		endpoint: s.endpoint,
		delivery: s.delivery(),
		input:    input,
		log:      s.log,
		secrets:  s.secrets,
		extended: s.extended(),
	})
}

// run runs an action whose output does not matter.
func (s *session) run(ctx context.Context, a plugin.Action, input io.Reader, args ...string) error {
	p, err := s.start(ctx, a, input, args...)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	_, err = io.Copy(io.Discard, p)
	return err
}

// tester and validator are put into the value that a session opens where
// info declares their action. The value must not have a method that the
// plugin cannot serve, since hosts find abilities by type assertion.
type tester struct{ s *session }

func (t tester) Test(ctx context.Context) error {
	return t.s.run(ctx, plugin.ActionTest, nil, "--role", string(t.s.role))
}

type validator struct{ s *session }

func (v validator) Validate(ctx context.Context) error {
	return v.s.run(ctx, plugin.ActionValidate, nil, "--role", string(v.s.role))
}
