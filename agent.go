package shield

import (
	"context"
	"net"
	"time"
)

// AgentDaemon is what the Agent of a store is that only the daemon reaches. No
// agent has this name.
const AgentDaemon = "daemon"

// An Agent is a process beside the data that runs operations for the daemon.
// It is made by redeeming an AgentToken, and changed by what it reports.
type Agent struct {
	Meta
	Labels map[string]string `json:"labels"`
	// Dial is where the daemon dials the agent, HOST:PORT; empty: the agent
	// dials the daemon.
	Dial string `json:"dial"`
	// ExpiresAt is when its certificate does, unless it is renewed before.
	ExpiresAt time.Time `json:"expires_at"`

	Address string   `json:"address"` // where it was last connected from
	Release string   `json:"release"` // version of its program
	OS      string   `json:"os"`      // like "linux/amd64"
	Plugins []string `json:"plugins"` // names of its own
	// Skew is how many seconds its clock is ahead of the daemon's.
	Skew        float64   `json:"clock_skew"`
	LastSeenAt  time.Time `json:"last_seen_at"`
	LastErrorAt time.Time `json:"last_error_at"`
	LastError   string    `json:"last_error"`
	// Unseen says that an event has told that it is not seen any more.
	Unseen bool `json:"unseen"`
}

// Validate checks what an operator chooses.
func (a *Agent) Validate() error {
	return FirstError(a.validate(), validateAgentName(a.Name), validateLabels(a.Labels), validateDial(a.Dial))
}

func validateAgentName(name string) error {
	if name == AgentDaemon {
		return FieldErrorf("name", "is %q, which stands for the daemon itself: choose another", name)
	}
	if _, _, err := net.SplitHostPort(name); err == nil {
		return FieldErrorf("name", "%q has the form of an address: choose a name that cannot be mistaken for one", name)
	}
	return ValidateName("name", name)
}

func validateLabels(labels map[string]string) error {
	if len(labels) > 100 {
		return FieldErrorf("labels", "are %d: at most 100 are allowed", len(labels))
	}
	for key, value := range labels {
		if err := FirstError(ValidateName("labels", key), ValidateText("labels", value)); err != nil {
			return err
		}
	}
	return nil
}

func validateDial(address string) error {
	if address == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
		return FieldErrorf("dial", "%.100q is not an address: HOST:PORT is wanted", address)
	}
	return nil
}

// How long a token to join with is valid.
const (
	DefaultTokenTTL = time.Hour
	MaxTokenTTL     = 7 * 24 * time.Hour
)

// An AgentToken lets one agent of a name enrol, once, until it expires.
type AgentToken struct {
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels,omitempty"`
	Dial      string            `json:"dial,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	ExpiresAt time.Time         `json:"expires_at"`
	// Digest is the SHA-256 of the token's secret, in hexadecimal digits.
	Digest string `json:"-"`
}

// Validate checks name, labels, address and digest.
func (t *AgentToken) Validate() error {
	if len(t.Digest) != 64 {
		return FieldErrorf("digest", "has %d digits: 64 are wanted", len(t.Digest))
	}
	return FirstError(validateAgentName(t.Name), validateLabels(t.Labels), validateDial(t.Dial))
}

// AgentService is what users do with agents.
type AgentService interface {
	// CreateAgentToken keeps a token, in place of an older one of the name. It
	// returns Conflict if there is an agent of this name.
	CreateAgentToken(ctx context.Context, t *AgentToken) error
	Agent(ctx context.Context, ref string) (*Agent, error)
	Agents(ctx context.Context, f Filter) ([]*Agent, error)
	// DeleteAgent forgets an agent and the token of its name, if there is one.
	DeleteAgent(ctx context.Context, ref string) error
}

// AgentLedger is what a daemon does with agents.
type AgentLedger interface {
	// AgentTokens returns the tokens that are neither used nor expired.
	AgentTokens(ctx context.Context, now time.Time) ([]*AgentToken, error)
	// EnrolAgent makes the agent that a token is for. key is the digest of the
	// agent's public key: the same may redeem a token again, since its answer
	// may have been lost. It returns Unauthorized for a token that is unknown,
	// used by another, expired, or for another name.
	EnrolAgent(ctx context.Context, name, digest, key string, now time.Time) (*Agent, error)
	// ReportAgent writes what is known of an agent beyond what an operator
	// chose, and its last error.
	ReportAgent(ctx context.Context, a *Agent) error
	// SeeAgents notes that agents, by UUID, are connected.
	SeeAgents(ctx context.Context, uuids []string, now time.Time) error
	// UnseenAgents notes which agents were not seen since a time, and which of
	// those are again. It returns one event each, which it records.
	UnseenAgents(ctx context.Context, since, now time.Time) ([]*Event, error)
}
