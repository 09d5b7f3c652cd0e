package shield

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Op is an operation that a task runs.
type Op string

// The operations.
const (
	OpBackup      Op = "backup"
	OpRestore     Op = "restore"
	OpPreflight   Op = "preflight" // looks at what a restore needs, and restores nothing
	OpPurge       Op = "purge"
	OpTestStore   Op = "test-store"   // stores, reads back and deletes a small blob
	OpCheckStore  Op = "check-store"  // runs the conformance suite on a store
	OpReconcile   Op = "reconcile"    // compares a store with the catalog
	OpVerify      Op = "verify"       // reads an archive and compares it with the catalog
	OpTestTarget  Op = "test-target"  // asks a target whether it can be used
	OpProbeTarget Op = "probe-target" // asks a target what it holds
	OpAgentStatus Op = "agent-status" // asks an agent what it is and what it can
)

// Ops returns all operations.
func Ops() []Op {
	return []Op{OpBackup, OpRestore, OpPreflight, OpPurge, OpTestStore, OpCheckStore, OpReconcile, OpVerify, OpTestTarget, OpProbeTarget, OpAgentStatus}
}

// allowedOps is how an error lists the operations.
func allowedOps() string {
	var names []string
	for _, op := range Ops() {
		names = append(names, string(op))
	}
	return strings.Join(names, ", ") + " are allowed"
}

// ValidateOp reports an operation that there is not.
func ValidateOp(op Op) error {
	if slices.Contains(Ops(), op) {
		return nil
	}
	return FieldErrorf("op", "is %.100q: %s", op, allowedOps())
}

// OnStore reports whether the operation needs a store.
func (op Op) OnStore() bool {
	return op != OpTestTarget && op != OpProbeTarget && op != OpAgentStatus
}

// OnTarget reports whether the operation needs a target.
func (op Op) OnTarget() bool {
	return op == OpBackup || op == OpRestore || op == OpPreflight || op == OpTestTarget || op == OpProbeTarget
}

// A TaskStatus is the state of a Task.
type TaskStatus string

// The states of a task. A task is made pending.
const (
	TaskPending  TaskStatus = "pending"  // waits to be claimed
	TaskRunning  TaskStatus = "running"  // leased to an owner
	TaskDone     TaskStatus = "done"     // proven good
	TaskFailed   TaskStatus = "failed"   // the error says which side and why
	TaskCanceled TaskStatus = "canceled" // stopped on request
)

// An Actor is who may move a task from one state to another.
type Actor string

// The actors.
const (
	ActorScheduler Actor = "scheduler" // the holder of the lease, or the one that finds it lapsed
	ActorUser      Actor = "user"
)

// A Transition is one arrow of the task state machine.
type Transition struct {
	From, To TaskStatus
	By       Actor
	When     string
}

// Transitions is the whole state machine of a task; docs/tasks.md draws it.
// A running task that a user cancels stays running until its runner has
// cleaned up; then the scheduler moves it.
func Transitions() []Transition {
	return []Transition{
		{TaskPending, TaskRunning, ActorScheduler, "claimed: a lease with a new epoch"},
		{TaskPending, TaskCanceled, ActorUser, "canceled before it was claimed"},
		{TaskRunning, TaskDone, ActorScheduler, "the runner proved success and the lease still holds"},
		{TaskRunning, TaskFailed, ActorScheduler, "the runner failed, a deadline passed, or the lease lapsed"},
		{TaskRunning, TaskCanceled, ActorScheduler, "a user asked, and the runner has cleaned up"},
		{TaskRunning, TaskPending, ActorScheduler, "failed or interrupted with attempts left: tried again"},
	}
}

// CanMove reports whether some actor may move a task from one state to
// another.
func CanMove(from, to TaskStatus) bool {
	for _, t := range Transitions() {
		if t.From == from && t.To == to {
			return true
		}
	}
	return false
}

// Final reports whether a task in state s can change no more.
func (s TaskStatus) Final() bool {
	return s == TaskDone || s == TaskFailed || s == TaskCanceled
}

// A Task is one run of one operation. It carries copies of all that its
// runner needs, so that a later edit does not change what runs.
type Task struct {
	UUID     string     `json:"uuid"`
	Owner    string     `json:"owner"` // who asked, or "system"
	Op       Op         `json:"op"`
	Status   TaskStatus `json:"status"`
	Priority int        `json:"priority"`

	Job     string `json:"job_uuid"`
	JobName string `json:"job"`
	// Archive is the UUID of the archive that a backup makes (it is chosen
	// when the task is made) or that a restore or purge works on.
	Archive string `json:"archive_uuid"`

	Target         string   `json:"target_uuid"`
	TargetName     string   `json:"target"`
	TargetPlugin   string   `json:"target_plugin"`
	TargetEndpoint Endpoint `json:"target_endpoint"`
	Store          string   `json:"store_uuid"`
	StoreName      string   `json:"store"`
	StorePlugin    string   `json:"store_plugin"`
	StoreEndpoint  Endpoint `json:"store_endpoint"`
	StoreLimit     Limit    `json:"store_limit,omitzero"`
	Agent          string   `json:"agent"`
	// StoreAgent is the store's agent, looked up just before the task runs.
	StoreAgent string `json:"-"`

	// Key is the store key: wanted, for a backup; read, for a restore;
	// removed, for a purge. ManifestKey is that of the commit record.
	Key         string `json:"restore_key"`
	ManifestKey string `json:"manifest_key"`

	// RemoveOrphans has a reconciliation remove the orphans that it may.
	RemoveOrphans bool `json:"remove_orphans,omitempty"`
	// Inventory is what a reconciliation compares the store with. It is made
	// just before the task runs, and not kept.
	Inventory *Inventory `json:"-"`

	Retention   int64  `json:"retention"` // seconds; backup only
	Compression string `json:"compression"`
	Unencrypted bool   `json:"unencrypted"`
	// Expected is what the catalog knows of the archive that a restore or
	// its preflight or a verification reads, so that another blob under the same key is noticed.
	Expected *Archive `json:"expected,omitempty"`

	RequestedAt time.Time `json:"requested_at"`
	StartedAt   time.Time `json:"started_at"`
	StoppedAt   time.Time `json:"stopped_at"`
	TimeoutAt   time.Time `json:"timeout_at"`   // absolute deadline, set when it is claimed
	Timeout     int64     `json:"timeout"`      // seconds
	IdleTimeout int64     `json:"idle_timeout"` // seconds; 0: the runner's
	Attempts    int       `json:"attempts"`     // how often it was claimed
	MaxAttempts int       `json:"max_attempts"` // how often it is tried in all; 0: once
	Backoff     int64     `json:"backoff"`      // seconds after the first attempt
	NotBefore   time.Time `json:"not_before"`

	LeaseOwner   string    `json:"lease_owner"`
	LeaseEpoch   int64     `json:"lease_epoch"`
	LeaseExpires time.Time `json:"lease_expires"`

	ErrorCode Code     `json:"error_code"`
	Error     string   `json:"error"`
	Progress  Progress `json:"progress"`
	// Findings are what the task found out, if that was its purpose.
	Findings *Findings `json:"findings,omitempty"`
	Log      string    `json:"log,omitempty"` // one LogLine a line
}

// Findings are what a task found out: counts and versions of a target, the
// checks of a store, or what a restore has and lacks.
type Findings struct {
	Counts   map[string]int64  `json:"counts,omitempty"`
	Versions map[string]string `json:"versions,omitempty"`
	Checks   []Check           `json:"checks,omitempty"`
	// Preflight is what was looked at before a restore.
	Preflight []Finding `json:"preflight,omitempty"`
	// Reconciliation is of a store and the catalog.
	Reconciliation *Reconciliation `json:"reconciliation,omitempty"`
}

// A Check is the result of one check of a plugin.
type Check struct {
	Name    string  `json:"check"`
	Passed  bool    `json:"passed"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Waits reports whether the task is to be tried again when a store no longer
// keeps what it is to remove: its error says until when, NotBefore when.
func (t *Task) Waits() bool { return t.Status == TaskPending && t.ErrorCode == Locked }

// Validate checks that a task has what its operation needs.
func (t *Task) Validate() error {
	missing := func(field string) error {
		return FieldErrorf(field, "is missing: a %s task needs it", t.Op)
	}
	if err := ValidateOp(t.Op); err != nil {
		return err
	}
	if t.Op.OnTarget() && t.TargetPlugin == "" {
		return missing("target_plugin")
	}
	if t.Op.OnStore() && t.StorePlugin == "" {
		return missing("store_plugin")
	}
	switch t.Op {
	case OpAgentStatus:
		if t.Agent == "" {
			return missing("agent")
		}
	case OpBackup, OpRestore, OpPreflight, OpPurge, OpVerify:
		if t.Archive == "" && t.Op != OpPurge {
			return missing("archive_uuid")
		}
		if t.Op == OpBackup && t.Retention <= 0 {
			return FieldErrorf("retention", "is missing: a backup without a retention policy cannot exist")
		}
		if t.Key == "" {
			return missing("restore_key")
		}
	}
	return nil
}

// A Request is what somebody asks a Scheduler to do. Which refs it needs
// depends on Op: backup wants Job; restore and preflight want Archive, and
// Target if not the archive's own; purge and verify want Archive; test-store, check-store and reconcile want Store;
// test-target and probe-target want Target; agent-status wants Agent.
type Request struct {
	Op      Op     `json:"op"`
	Owner   string `json:"owner"`
	Job     string `json:"job,omitempty"`
	Archive string `json:"archive,omitempty"`
	Target  string `json:"target,omitempty"`
	Store   string `json:"store,omitempty"`
	Agent   string `json:"agent,omitempty"`
	Reason  string `json:"reason,omitempty"` // of a purge
	// From is the target whose newest archive a restore takes, in place of
	// Archive: the newest of those taken at or before At, unless that is zero.
	From string    `json:"from,omitempty"`
	At   time.Time `json:"at,omitzero"`
	// Confirm is the name of the target that a restore overwrites, typed by who
	// asks for it. Only a scratch target is restored into without it.
	Confirm string `json:"confirm,omitempty"`
	// RemoveOrphans has a reconciliation remove the orphans that it may.
	RemoveOrphans bool `json:"remove_orphans,omitempty"`
	// Key makes a backup or restore one that is asked for once: the same
	// request of the same owner with the same key gets the same task. Empty:
	// each request gets a task of its own.
	Key string `json:"key,omitempty"`
}

// A Lease is the right to run a task and to write its outcome.
type Lease struct {
	Owner   string
	Epoch   int64 // set by ClaimTask
	Expires time.Time
	Timeout time.Duration // deadline of a task that names none
	// Limit is how many tasks run at once in all, AgentLimit how many of one
	// agent; 0: no limit. A claim that would go beyond finds nothing.
	Limit, AgentLimit int
}

// An Outcome is how a task ended.
type Outcome struct {
	Status    TaskStatus
	StoppedAt time.Time
	Code      Code
	Error     string
	Log       string
	Progress  Progress
	// Archive is inserted by a backup that is done.
	Archive *Archive
	// PurgedArchive is the UUID of the archive that a purge that is done
	// removed.
	PurgedArchive string
	// Absent says that a purge that is done found no blob to remove.
	Absent bool
	// Spared says of a purge that was canceled that its archive, if it has only
	// expired, is valid again.
	Spared bool
	// Missing are the UUIDs of archives whose blobs a reconciliation did not
	// find: valid ones become invalid. Found are those of missing ones that are
	// there again: they become valid.
	Missing, Found []string
	// Findings are kept with the task, however it ended.
	Findings *Findings
	// RetryAt makes a failed task pending again. RetryArchive and RetryKey
	// are what a backup then makes, since what it left under its old key is
	// yet to be purged; empty: the same.
	RetryAt      time.Time
	RetryArchive string
	RetryKey     string
	// Then are tasks to be queued with this end: the purges of what it left.
	Then []*Task
}

// A TaskResult is what a runner learned.
type TaskResult struct {
	// Archive is what a backup made, complete but for names.
	Archive *Archive
	// Progress is the final count.
	Progress Progress
	// Findings are what the task found out, also if it failed.
	Findings *Findings
	// Absent says that a purge found no blob under the archive's key.
	Absent bool
	// Missing and Found are UUIDs of archives, see Outcome, and Strays the other
	// blobs that a reconciliation found.
	Missing, Found []string
	Strays         []Stray
	// Leftovers are store keys that a failed backup could not remove. They
	// are to be purged later.
	Leftovers []string
}

// Progress counts what has moved.
type Progress struct {
	RawBytes    int64 `json:"raw_bytes"`    // between target and archive stream
	StoredBytes int64 `json:"stored_bytes"` // between archive stream and store
	Rate        int64 `json:"rate"`         // raw bytes a second, lately
	TotalBytes  int64 `json:"total_bytes"`  // raw bytes expected; 0: unknown
}

// A Source is who wrote a log line.
type Source string

// The sources of log lines.
const (
	SourceShield Source = "shield"
	SourceTarget Source = "target"
	SourceStore  Source = "store"
)

// A LogLine is one line of a task's log.
type LogLine struct {
	At     time.Time `json:"at"`
	Source Source    `json:"source"`
	Text   string    `json:"text"`
}

// String returns the line as it is kept: time (UTC, milliseconds), source,
// text.
func (l LogLine) String() string {
	return fmt.Sprintf("%s %-6s %s", l.At.UTC().Format("2006-01-02T15:04:05.000Z"), l.Source, l.Text)
}
