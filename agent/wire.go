package agent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
	"github.com/shieldhq/shield/plugin"
)

// Protocol is the version of what daemon and agent say to each other. Fields
// may be added within one; what is unknown is ignored.
const Protocol = 1

// Headers of a link that an agent asks for.
const (
	instanceHeader = "Shield-Instance" // new with each start of an agent
	releaseHeader  = "Shield-Release"
	protocolHeader = "Shield-Protocol"
	nameHeader     = "Shield-Agent"
)

// A Hello is what an agent says of itself.
type Hello struct {
	Name     string         `json:"name"`
	Instance string         `json:"instance"`
	Release  string         `json:"release"`
	Protocol int            `json:"protocol"`
	OS       string         `json:"os"`
	Now      time.Time      `json:"now"`
	Plugins  []plugin.Offer `json:"plugins"` // its own
	Limit    int            `json:"limit"`   // tasks at once; 0: none
	Tasks    []Held         `json:"tasks"`
}

// A Held task is one that an agent runs, or has the result of.
type Held struct {
	UUID      string    `json:"uuid"`
	Epoch     int64     `json:"epoch"` // of the lease
	Op        shield.Op `json:"op"`
	Key       string    `json:"key,omitempty"` // that a backup writes
	StartedAt time.Time `json:"started_at"`
	Ended     bool      `json:"ended"`
}

// ref is the path of a held task, below that of tasks.
func (h *Held) ref() string { return h.UUID + "/" + strconv.FormatInt(h.Epoch, 10) }

// An Order has an agent run a task. It carries all that the agent needs to
// know, and no key that opens anything but the one archive of a restore.
type Order struct {
	Task *shield.Task `json:"task"`
	// Now is the daemon's clock, by which the task's deadline is.
	Now time.Time `json:"now"`
	// Recipients are the public keys that a backup is sealed to.
	Recipients []string `json:"recipients,omitempty"`
	FileKey    []byte   `json:"file_key,omitempty"`
	// Modules are those of the plugins that the task needs, the current one of
	// each first.
	Modules []Module `json:"modules,omitempty"`
	// Relay is set if the store is elsewhere: bytes go through the daemon then,
	// and the task has no endpoint of the store.
	Relay *plugin.Info `json:"relay,omitempty"`
	// Share is the part of the store's limit that this agent has as it begins;
	// 0: all of it.
	Share float64 `json:"share,omitempty"`
	// IdleTimeout is the daemon's, in seconds, for a task that has none.
	IdleTimeout int64 `json:"idle_timeout"`
	// Ahead is how far the daemon's clock is ahead of the agent's, as the
	// agent finds out.
	Ahead time.Duration `json:"-"`
}

// Held returns what is kept of an order: nothing secret.
func (o *Order) held() Held {
	h := Held{UUID: o.Task.UUID, Epoch: o.Task.LeaseEpoch, Op: o.Task.Op, StartedAt: time.Now().UTC()}
	if h.Op == shield.OpBackup {
		h.Key = o.Task.Key
	}
	return h
}

// A Module is a sandboxed plugin that an agent fetches if it lacks it.
type Module struct {
	Name   string          `json:"name"`
	Digest string          `json:"digest"`
	Info   json.RawMessage `json:"info"`
	Grant  json.RawMessage `json:"grant"`
}

// A StoreOrder has an agent lend a store that it reaches.
type StoreOrder struct {
	Plugin   string          `json:"plugin"`
	Endpoint shield.Endpoint `json:"endpoint"`
	Modules  []Module        `json:"modules,omitempty"`
}

// A StoreLent is the answer: where the store is, below the path of stores, and
// what its plugin says.
type StoreLent struct {
	ID   string      `json:"id"`
	Info plugin.Info `json:"info"`
}

// A Result is how a task ended.
type Result struct {
	Result shield.TaskResult  `json:"result"`
	Error  *storewire.Failure `json:"error,omitempty"`
}

// A Message is one line of what an agent tells of a task.
type Message struct {
	N        int              `json:"n,omitempty"` // number of the line behind Text
	Source   shield.Source    `json:"source,omitempty"`
	Text     string           `json:"text,omitempty"`
	Progress *shield.Progress `json:"progress,omitempty"`
	Result   *Result          `json:"result,omitempty"`
}

// A Stop ends a task early.
type Stop struct {
	Code    shield.Code `json:"code"`
	Message string      `json:"message"`
}

type (
	joinRequest struct {
		Name    string `json:"name"`
		Secret  string `json:"secret"`
		Request []byte `json:"request"` // for a certificate
	}
	joinAnswer struct {
		Certificate []byte `json:"certificate"`
		Authority   []byte `json:"authority"`
	}
	renewRequest struct {
		Request []byte `json:"request"`
	}
)

// CheckRelease returns Conflict for two releases that do not work together:
// one minor version either way does. What is not a release, works with all.
func CheckRelease(daemon, agent string, protocol int) error {
	apart := protocol != Protocol
	dMajor, dMinor, ok1 := parseRelease(daemon)
	aMajor, aMinor, ok2 := parseRelease(agent)
	if ok1 && ok2 {
		apart = apart || dMajor != aMajor || dMinor-aMinor > 1 || aMinor-dMinor > 1
	}
	if !apart {
		return nil
	}
	return shield.Errorf(shield.Conflict, "", "this agent is of release %.40q (protocol %d), the daemon of %q (protocol %d): releases up to one minor version apart work together; install the daemon's on this host",
		agent, protocol, daemon, Protocol)
}

func parseRelease(s string) (major, minor int, ok bool) {
	s, _, _ = strings.Cut(s, "-")
	if strings.Count(s, ".") != 2 {
		return 0, 0, false
	}
	var patch int
	n, err := fmt.Sscanf(s, "v%d.%d.%d", &major, &minor, &patch)
	return major, minor, err == nil && n == 3
}
