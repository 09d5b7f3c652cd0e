// Package calling is what the carriers of plugins share, whatever runs the
// code: how targets and stores are made of calls, what an answer must look
// like, how a failure gets its code, and how diagnostics are cleaned. The
// protocol itself is written down in docs/plugin-protocol.md.
package calling

import (
	"context"
	"io"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A Carrier runs the actions of one plugin.
type Carrier interface {
	// Start starts an action. The caller must Finish or Close the call.
	Start(ctx context.Context, r *Request) (Call, error)
}

// A Call is one action under way. Reading it gives the plugin's output, and
// io.EOF only after the plugin has ended well. Close stops a call that is
// still under way and is harmless after its end.
type Call interface {
	io.ReadCloser
	// Stop ends the call because of err, which it then fails with. The first
	// reason counts.
	Stop(err error)
	// Finish waits for the end and returns how it ended: nil only if the
	// plugin did all that it should.
	Finish() error
	// Over reports whether the call has ended.
	Over() bool
	// Op names the call in errors.
	Op() string
}

// A Request is one action to be run.
type Request struct {
	Action   plugin.Action
	Role     plugin.Role
	Endpoint shield.Endpoint // nil for info
	Delivery plugin.Delivery
	Key      string
	Name     string
	Prefix   string
	Until    time.Time // zero for a blob that need not be kept
	Listing  bool      // Prefix is meant, even if it is empty
	SayRole  bool      // the action serves both roles
	Input    io.Reader // nil for an action that reads nothing
	Log      plugin.Log
	Secrets  []string
	Extended bool // the plugin speaks more than the original protocol
}

// Args returns the flags that follow the action and the endpoint.
func (r *Request) Args() []string {
	var args []string
	if r.SayRole {
		args = append(args, "--role", string(r.Role))
	}
	if r.Name != "" {
		args = append(args, "--name", r.Name)
	}
	if !r.Until.IsZero() {
		args = append(args, "--until", r.until())
	}
	if r.Key != "" {
		args = append(args, "--key", r.Key)
	}
	if r.Listing {
		args = append(args, "--prefix", r.Prefix)
	}
	return args
}

// until is the wire form of Until. A part of a second counts as a whole one,
// so that a store that counts in seconds keeps the blob long enough.
func (r *Request) until() string {
	t := r.Until.UTC()
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		t = whole.Add(time.Second)
	}
	return t.Format(time.RFC3339)
}

// Fields returns the texts of a request by their names, for a carrier whose
// plugins take it as one object.
func (r *Request) Fields() map[string]string {
	m := map[string]string{}
	for name, v := range map[string]string{"key": r.Key, "name": r.Name, "prefix": r.Prefix} {
		if v != "" {
			m[name] = v
		}
	}
	if !r.Until.IsZero() {
		m["until"] = r.until()
	}
	return m
}

// A Session is a target or a store, opened.
type Session struct {
	Carrier  Carrier
	Info     plugin.Info
	Role     plugin.Role
	Endpoint shield.Endpoint
	Secrets  []string
	Log      plugin.Log
}

// Open returns a session. It is Invalid if the plugin has no such role. log
// may be nil.
func Open(c Carrier, info plugin.Info, r plugin.Role, e shield.Endpoint, log plugin.Log) (*Session, error) {
	if !info.Has(r) {
		return nil, plugin.RoleError(info.Name, r)
	}
	if log == nil {
		log = func(string) {}
	}
	secrets, err := Secrets(&info, r, e)
	if err != nil {
		return nil, err
	}
	return &Session{Carrier: c, Info: info, Role: r, Endpoint: e, Secrets: secrets, Log: log}, nil
}

// An OpenFunc opens a session of a carrier in a role.
type OpenFunc func(ctx context.Context, r plugin.Role, e shield.Endpoint, log plugin.Log) (*Session, error)

// Target opens a target.
func (open OpenFunc) Target(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	s, err := open(ctx, plugin.RoleTarget, e, log)
	if err != nil {
		return nil, err
	}
	return s.Target(), nil
}

// Store opens a store.
func (open OpenFunc) Store(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	s, err := open(ctx, plugin.RoleStore, e, log)
	if err != nil {
		return nil, err
	}
	return s.Store(), nil
}

// Delivery returns how the plugin wants its endpoint.
func (s *Session) Delivery() plugin.Delivery {
	if s.Info.Endpoint == "" {
		return plugin.DeliverArgv
	}
	return s.Info.Endpoint
}

// start completes a request that says what is special to it.
func (s *Session) start(ctx context.Context, r Request) (Call, error) {
	r.Role, r.Endpoint, r.Delivery = s.Role, s.Endpoint, s.Delivery()
	r.Log, r.Secrets = s.Log, s.Secrets
	r.Extended = s.Info.Endpoint != "" || len(s.Info.Actions) > 0
	return s.Carrier.Start(ctx, &r)
}

// run runs an action whose output does not matter.
func (s *Session) run(ctx context.Context, r Request) error {
	c, err := s.start(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = io.Copy(io.Discard, c)
	return err
}

// tester and validator are put into the value that a session opens where
// info declares their action. The value must not have a method that the
// plugin cannot serve, since hosts find abilities by type assertion.
type tester struct{ s *Session }

func (t tester) Test(ctx context.Context) error {
	return t.s.run(ctx, Request{Action: plugin.ActionTest, SayRole: true})
}

type validator struct{ s *Session }

func (v validator) Validate(ctx context.Context) error {
	return v.s.run(ctx, Request{Action: plugin.ActionValidate, SayRole: true})
}

// ReadAll returns the whole output of a plugin that ended well.
func ReadAll(c Call, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(c, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		c.Stop(shield.Errorf(shield.PluginFailed, c.Op(), "more than %d bytes were printed", limit))
		return nil, c.Finish()
	}
	return b, nil
}
