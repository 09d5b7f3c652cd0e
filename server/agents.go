package server

import (
	"context"
	"net/http"
	"time"

	"github.com/shieldhq/shield"
)

// Agents is what the server needs of the daemon's agents beyond the catalog.
type Agents interface {
	// CreateAgentToken makes a token for an agent to join with and returns its
	// text.
	CreateAgentToken(ctx context.Context, t *shield.AgentToken, ttl time.Duration) (string, error)
	// LinkedAgent reports whether an agent, by its UUID, is connected, and
	// which tasks it runs.
	LinkedAgent(uuid string) (bool, []string)
	DeleteAgent(ctx context.Context, ref string) error
}

// AgentTokenRequest is the body of a request for a token.
type AgentTokenRequest struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	// Dial is where the daemon dials the agent; empty: the agent dials.
	Dial string `json:"dial,omitempty"`
	TTL  int64  `json:"ttl,omitempty"` // seconds; 0: an hour
}

// NewAgentToken is the answer: the one time that the token is shown.
type NewAgentToken struct {
	shield.AgentToken
	Token string `json:"token"`
}

// AgentStatus is an agent as it is now.
type AgentStatus struct {
	shield.Agent
	Connected bool     `json:"connected"`
	Running   []string `json:"running"` // UUIDs of tasks
}

func (s *Server) mountAgents() {
	if s.opts.Agents == nil {
		return
	}
	op := func(method, path, id, summary string, role shield.Role) operation {
		return operation{method: method, path: "/v1" + path, id: id, tag: "Agents", summary: summary, role: role}
	}
	create := op("POST", "/agent-tokens", "createAgentToken", "Make a token that one agent can join with", shield.RoleAdmin)
	create.body, create.status, create.fails = bodyOf[AgentTokenRequest]("name"), http.StatusCreated, []shield.Code{shield.Conflict}
	take(s, create, s.createAgentToken)
	list := op("GET", "/agents", "listAgents", "List agents", shield.RoleViewer)
	list.params = append([]param{byName}, agentPager.params()...)
	handle(s, list, s.listAgents)
	get := op("GET", "/agents/{ref}", "getAgent", "Show an agent", shield.RoleViewer)
	get.tagged = true
	handle(s, get, func(ctx context.Context, c *call) (*AgentStatus, error) {
		a, err := s.catalog.Agent(ctx, c.ref())
		if err != nil {
			return nil, err
		}
		c.tag(a.Version)
		return s.agentStatus(a), nil
	})
	action(s, operation{path: "/v1/agents/{ref}/test", id: "testAgent", tag: "Agents", summary: "Ask an agent what it is and what it can"}, shield.Request{Op: shield.OpAgentStatus})
	remove := op("DELETE", "/agents/{ref}", "deleteAgent", "Forget an agent and revoke its certificate", shield.RoleAdmin)
	remove.guarded = true
	handle(s, remove, func(ctx context.Context, c *call) (nothing, error) {
		a, err := s.catalog.Agent(ctx, c.ref())
		if err == nil {
			err = c.match(a.Version)
		}
		if err != nil {
			return nothing{}, err
		}
		return nothing{}, s.opts.Agents.DeleteAgent(ctx, a.UUID)
	})
}

func (s *Server) createAgentToken(ctx context.Context, _ *call, r *AgentTokenRequest) (*NewAgentToken, error) {
	ttl := shield.DefaultTokenTTL
	if r.TTL != 0 {
		if r.TTL < 0 || r.TTL > int64(shield.MaxTokenTTL/time.Second) {
			return nil, shield.FieldErrorf("ttl", "is %d seconds: 1 to %d are allowed", r.TTL, int64(shield.MaxTokenTTL/time.Second))
		}
		ttl = time.Duration(r.TTL) * time.Second
	}
	made := &NewAgentToken{AgentToken: shield.AgentToken{Name: r.Name, Labels: r.Labels, Dial: r.Dial}}
	var err error
	made.Token, err = s.opts.Agents.CreateAgentToken(ctx, &made.AgentToken, ttl)
	return made, err
}

func (s *Server) agentStatus(a *shield.Agent) *AgentStatus {
	connected, running := s.opts.Agents.LinkedAgent(a.UUID)
	a.Plugins = nonNil(a.Plugins)
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	return &AgentStatus{*a, connected, nonNil(running)}
}

func (s *Server) listAgents(ctx context.Context, c *call) ([]*AgentStatus, error) {
	all, err := paged(ctx, c, agentPager, s.catalog.Agents)
	if err != nil {
		return nil, err
	}
	out := []*AgentStatus{}
	for _, a := range all {
		out = append(out, s.agentStatus(a))
	}
	return out, nil
}

// CreateAgentToken makes a token for an agent to join with.
func (c *Client) CreateAgentToken(ctx context.Context, r AgentTokenRequest) (*NewAgentToken, error) {
	out := new(NewAgentToken)
	return out, c.Do(ctx, http.MethodPost, "/v1/agent-tokens", r, out)
}

// Agents returns the client of agents. They are made by joining.
func (c *Client) Agents() NounClient[AgentStatus] { return NounClient[AgentStatus]{c, "/v1/agents"} }
