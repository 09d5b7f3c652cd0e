package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/internal/storewire"
	"github.com/shieldhq/shield/plugin"
)

// Catalog is what a Dispatcher needs of a shield.Catalog.
type Catalog interface {
	shield.AgentService
	shield.AgentLedger
	RecordEvent(ctx context.Context, e *shield.Event) error
}

// Defaults of DispatcherOptions.
const (
	DefaultLife     = 30 * 24 * time.Hour
	DefaultPatience = 15 * time.Minute
	DefaultUnseen   = 5 * time.Minute
)

// Local runs tasks and opens archives in the daemon.
type Local interface {
	shield.Runner
	shield.Opener
}

// DispatcherOptions configures a Dispatcher. What has no default is required.
type DispatcherOptions struct {
	Catalog   Catalog
	Authority *pki.Authority
	// Local returns what runs tasks in the daemon; stores, if not nil, opens
	// their stores.
	Local func(stores *plugin.Registry) Local
	// Plugins are the daemon's.
	Plugins *plugin.Registry
	// Modules returns the modules of a plugin, the current one first, and only
	// that and the one of a digest; none if it is no module.
	Modules func(ctx context.Context, name, digest string) ([]Module, error)
	// Module returns the module of a digest.
	Module func(digest string) ([]byte, error)
	// FileKey returns the key of the one archive that a restore reads.
	FileKey func(t *shield.Task) ([]byte, error)
	// Seal checks that a manifest, as JSON, is of a task's archive, signs and
	// seals it.
	Seal func(t *shield.Task, manifest []byte) ([]byte, error)
	// Disown has what an attempt has left removed that is not wanted any more,
	// if the task was one of the agent that says so.
	Disown func(ctx context.Context, a *shield.Agent, task string, epoch int64, keys []string) error
	// Share has the daemon keep to a share of a store's limit; nil: it keeps to
	// the limit whatever agents do.
	Share func(store string, share float64)
	// Recipients are the public keys that archives are sealed to.
	Recipients []string
	// IdleTimeout ends a task that names none and in which no byte moves, and
	// Grace is how long an agent may take to end one that is canceled.
	IdleTimeout, Grace time.Duration
	// Release is the version of the daemon.
	Release string
	// Life is how long a certificate of an agent is valid; 0: DefaultLife.
	Life time.Duration
	// Patience is how long a running task waits for its agent to be linked
	// again; 0: DefaultPatience.
	Patience time.Duration
	// Unseen is after how long an event tells that an agent is not linked; 0:
	// DefaultUnseen.
	Unseen time.Duration
	Log    *slog.Logger
}

// A Dispatcher is a shield.Runner that runs a task where its target is: in the
// daemon or on an agent.
type Dispatcher struct {
	opts DispatcherOptions
	log  *slog.Logger
	hub  hub

	ctx   context.Context // ends with Close
	close context.CancelFunc
	work  sync.WaitGroup

	mu      sync.Mutex
	running map[string]*attempt // by ref
	// delivered are the attempts whose result was taken, until their agents
	// have forgotten them.
	delivered map[string]bool

	refusals rareEvents
	uses     uses
	shares   shares
}

var _ shield.Runner = (*Dispatcher)(nil)

// An attempt is one run of a task on an agent.
type attempt struct {
	task  *shield.Task
	held  Held
	agent string // UUID
	// store is where relayed bytes go; nil if there are none. calls are those
	// that use it.
	store plugin.Store
	calls *calls
	// wrote reports whether a key is one that it may have stored there; nil if
	// nobody knows.
	wrote func(key string) bool
	// sent are the sizes and digests of what was relayed into it.
	mu   sync.Mutex
	sent map[string]sentBlob
}

type sentBlob struct {
	size   int64
	digest string
}

// NewDispatcher returns a Dispatcher. Start it, and serve its Handler.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	o.Life, o.Patience, o.Unseen = cmp.Or(o.Life, DefaultLife), cmp.Or(o.Patience, DefaultPatience), cmp.Or(o.Unseen, DefaultUnseen)
	o.Grace = cmp.Or(o.Grace, 30*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{opts: o, log: o.Log, running: map[string]*attempt{}, delivered: map[string]bool{}}
	d.ctx, d.close = context.WithCancel(context.Background())
	d.hub.init()
	return d
}

// Start launches what dials agents and notes which are linked.
func (d *Dispatcher) Start() {
	d.work.Go(d.watch)
	d.work.Go(d.dialAll)
}

// Close ends all links and waits for what was launched.
func (d *Dispatcher) Close() {
	d.close()
	d.hub.closeAll()
	d.work.Wait()
}

// Linked reports whether an agent, by its UUID, is linked.
func (d *Dispatcher) Linked(uuid string) bool { return d.hub.get(uuid) != nil }

// Running returns the tasks that an agent runs at this moment, by UUID.
func (d *Dispatcher) Running(agent string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var tasks []string
	for _, a := range d.running {
		if a.agent == agent {
			tasks = append(tasks, a.task.UUID)
		}
	}
	return tasks
}

// find returns the agent that a target or store names, by its name, its UUID
// or the address at which it is dialled.
func (d *Dispatcher) find(ctx context.Context, ref string) (*shield.Agent, error) {
	a, err := d.opts.Catalog.Agent(ctx, ref)
	if !errors.Is(err, shield.NotFound) {
		return a, err
	}
	all, lerr := d.opts.Catalog.Agents(ctx, shield.Filter{})
	if lerr != nil {
		return nil, lerr
	}
	for _, a := range all {
		if a.Dial == ref {
			return a, nil
		}
	}
	return nil, shield.Errorf(shield.Unavailable, "", "there is no agent %q: `shield create agent-token --name` lets one join", ref)
}

// Run runs t where its target is.
func (d *Dispatcher) Run(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	if err := t.Validate(); err != nil {
		return shield.TaskResult{}, err
	}
	if t.Op == shield.OpAgentStatus {
		return d.status(ctx, t, m)
	}
	ctx, leave := d.needing(ctx, t)
	defer leave()
	if t.Agent == "" || !t.Op.OnTarget() {
		return d.runHere(ctx, t, m)
	}
	a, err := d.find(ctx, t.Agent)
	if err != nil {
		return shield.TaskResult{}, err
	}
	return d.runThere(ctx, t, m, a)
}

// runHere runs a task in the daemon, with a store that may be an agent's.
func (d *Dispatcher) runHere(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	r, local, giveBack, err := d.here(ctx, t)
	if err != nil {
		return shield.TaskResult{}, err
	}
	defer giveBack()
	defer d.sharing(t, here)()
	return r.Run(ctx, local, m)
}

// here returns what runs a task in the daemon, and the task for it, whose store
// an agent may lend until giveBack is called.
func (d *Dispatcher) here(ctx context.Context, t *shield.Task) (r Local, local *shield.Task, giveBack func(), err error) {
	mine := *t
	mine.Agent = ""
	if !t.Op.OnStore() || t.StoreAgent == "" || t.StoreAgent == shield.AgentDaemon {
		return d.opts.Local(nil), &mine, func() {}, nil
	}
	opener, giveBack, err := d.borrow(ctx, t)
	if err != nil {
		return nil, nil, nil, err
	}
	stores := plugin.NewRegistry()
	stores.Replace(t.StorePlugin, opener)
	mine.StoreEndpoint = shield.Endpoint("{}")
	return d.opts.Local(stores), &mine, giveBack, nil
}

var _ shield.Opener = (*Dispatcher)(nil)

// Open returns the content of an archive, wherever its store is; see
// shield.Opener.
func (d *Dispatcher) Open(ctx context.Context, t *shield.Task, sealed bool) (io.ReadCloser, error) {
	ctx, leave := d.needing(ctx, t)
	r, local, giveBack, err := d.here(ctx, t)
	if err != nil {
		leave()
		return nil, err
	}
	end := d.sharing(t, here)
	content, err := r.Open(ctx, local, sealed)
	if err != nil {
		end()
		giveBack()
		leave()
		return nil, err
	}
	return &borrowed{content, func() { end(); giveBack(); leave() }}, nil
}

// borrowed gives a store back when its blob is closed.
type borrowed struct {
	io.ReadCloser
	giveBack func()
}

func (b *borrowed) Close() error {
	defer b.giveBack()
	return b.ReadCloser.Close()
}

// borrow has a store's agent open it for the daemon.
func (d *Dispatcher) borrow(ctx context.Context, t *shield.Task) (*storewire.Opener, func(), error) {
	a, err := d.find(ctx, t.StoreAgent)
	if err != nil {
		return nil, nil, err
	}
	l := d.hub.get(a.UUID)
	if l == nil {
		return nil, nil, notLinked(a, "store "+t.StoreName)
	}
	modules, err := d.opts.Modules(ctx, t.StorePlugin, "")
	if err != nil {
		return nil, nil, err
	}
	var lent StoreLent
	err = l.ask(ctx, http.MethodPost, "/v1/stores", StoreOrder{Plugin: t.StorePlugin, Endpoint: t.StoreEndpoint, Modules: modules}, &lent)
	if err != nil {
		return nil, nil, err
	}
	s := d.newLentStore(ctx, a.UUID, lent.ID)
	lent.Info.Fields = nil // the agent has checked the endpoint, which stays there
	return &storewire.Opener{About: lent.Info, Client: s.client, Base: s.base}, s.giveBack, nil
}

func notLinked(a *shield.Agent, what string) error {
	text := fmt.Sprintf("%s is reached by agent %s, which is not connected", what, a.Name)
	if !a.LastSeenAt.IsZero() {
		text += ": it was last seen at " + a.LastSeenAt.UTC().Format(time.RFC3339)
	}
	return &shield.Error{Code: shield.Unavailable, Message: text}
}
