// Package shield is the domain of shield, software that backs up and restores
// data systems: the nouns (Target, Store, Schedule, Policy, Job, Archive,
// Task, Run), their validation, the state machine of a task, the one error
// type, and the contracts Catalog, Scheduler and Runner that programs embed.
//
// The package uses the standard library only, does no I/O and starts no
// goroutine. What does lives in subpackages: catalog keeps the nouns, plugin
// is the contract of target and store plugins, archive is the sealed stream,
// task runs one operation, scheduler decides what runs when, server is the
// HTTP API and its client, and daemon wires the default system together.
//
// All sizes are bytes, all durations in stored or wire form are seconds, all
// times are UTC.
package shield

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Catalog keeps every noun. Implementations pass catalog/catalogtest and
// are safe for concurrent use. A ref is a UUID or a name, matched exactly.
// Every method returns errors of type *Error: NotFound for an unknown ref,
// Conflict for a name that is taken or a Version that is stale, InUse for
// deleting what something refers to, Invalid for what fails validation.
type Catalog interface {
	TargetService
	StoreService
	ScheduleService
	PolicyService
	JobService
	ArchiveService
	TaskService
	TaskLedger
	RunService
	PlanService
	ObjectiveService
	EventService
	ModuleService
	PrefixService
	FigureService
	UserService
	TokenService
	SessionService
	AuditService
	AgentService
	AgentLedger
	// Close releases the catalog. Calls in progress end with an error.
	Close() error
}

// A Filter narrows a list. Zero fields do not filter. Fields that make no
// sense for a noun are ignored by it.
type Filter struct {
	Name     string // exact
	Plugin   string
	Target   string // UUID
	Store    string // UUID
	Schedule string // UUID
	Policy   string // UUID
	Job      string // UUID
	Archive  string // UUID; of tasks
	User     string // UUID
	Statuses []string
	Op       Op
	Used     *bool // referred to by a job
	Paused   *bool
	// Suspicious archives are those that nobody has acknowledged.
	Suspicious *bool
	After      time.Time // archives: taken at or after; tasks: requested at or after
	Before     time.Time // archives: taken before; tasks: requested before
	Since      *int64    // events: with a greater ID, the oldest first
	Limit      int       // at most so many, the newest first where a noun has a time
	// Sort is the field to sort by, in words of the wire, with - before it
	// to turn it round; empty: the name, or the newest first.
	Sort string
	// From begins a list behind a position in it.
	From *Position
}

// A Position is a place in a sorted list: behind what has this value of the field
// that the list is sorted by, and this UUID, or of an event its ID. It stays what
// it is whatever is added to the list.
type Position struct {
	Value string // a time as RFC 3339
	ID    string
}

// PrefixService finds things by the beginning of their UUIDs.
type PrefixService interface {
	// Expand returns the UUID of the one thing of a kind ("target", "retention
	// policy", "archive", "user") whose UUID begins with ref, at least 4
	// characters. What is the name of one, or begins none, is returned as it
	// is. It returns Invalid if ref begins the UUIDs of several.
	Expand(ctx context.Context, kind, ref string) (string, error)
}

// TargetService keeps targets.
type TargetService interface {
	CreateTarget(ctx context.Context, t *Target) error
	Target(ctx context.Context, ref string) (*Target, error)
	Targets(ctx context.Context, f Filter) ([]*Target, error)
	UpdateTarget(ctx context.Context, t *Target) error
	DeleteTarget(ctx context.Context, ref string) error
}

// StoreService keeps stores.
type StoreService interface {
	CreateStore(ctx context.Context, s *Store) error
	Store(ctx context.Context, ref string) (*Store, error)
	Stores(ctx context.Context, f Filter) ([]*Store, error)
	UpdateStore(ctx context.Context, s *Store) error
	DeleteStore(ctx context.Context, ref string) error
}

// ScheduleService keeps schedules.
type ScheduleService interface {
	CreateSchedule(ctx context.Context, s *Schedule) error
	Schedule(ctx context.Context, ref string) (*Schedule, error)
	Schedules(ctx context.Context, f Filter) ([]*Schedule, error)
	UpdateSchedule(ctx context.Context, s *Schedule) error
	DeleteSchedule(ctx context.Context, ref string) error
}

// PolicyService keeps retention policies.
type PolicyService interface {
	CreatePolicy(ctx context.Context, p *Policy) error
	Policy(ctx context.Context, ref string) (*Policy, error)
	Policies(ctx context.Context, f Filter) ([]*Policy, error)
	UpdatePolicy(ctx context.Context, p *Policy) error
	DeletePolicy(ctx context.Context, ref string) error
}

// JobService keeps jobs. A job's references are checked on every write.
type JobService interface {
	CreateJob(ctx context.Context, j *Job) error
	Job(ctx context.Context, ref string) (*Job, error)
	Jobs(ctx context.Context, f Filter) ([]*Job, error)
	UpdateJob(ctx context.Context, j *Job) error
	DeleteJob(ctx context.Context, ref string) error
}

// ArchiveService keeps archives. They are created only by FinishTask.
type ArchiveService interface {
	Archive(ctx context.Context, uuid string) (*Archive, error)
	Archives(ctx context.Context, f Filter) ([]*Archive, error)
	// KeyOwner returns the UUID of the archive, not purged, whose blob or
	// manifest a store has under a key; empty if none is.
	KeyOwner(ctx context.Context, store, key string) (uuid string, err error)
	// UpdateArchive writes notes, status, purge reason, expiry, whether it is
	// held, and its acknowledgement, which is never taken back. It returns
	// Conflict for what follows from a read that is out of date: for another
	// Version and, where that is 0, to give up an archive that is held and to
	// take back that one was given up.
	UpdateArchive(ctx context.Context, a *Archive) error
	// ReviewArchives asks decide about some of the targets whose review is due,
	// those waiting longest first. It is due when a valid archive, not held, has
	// expired by now; where decide kept one, at the next of that call, or as
	// soon as an archive of the target is made or changes. Of those that have
	// expired, it makes the unwanted ones expired, for a reason that names their
	// expiry. It passes over those that have changed since decide was asked, and
	// never gives up the newest valid one of a target that is not suspicious. It
	// reports whether there may be more.
	ReviewArchives(ctx context.Context, now, next time.Time, decide func(*Review) error) (more bool, err error)
	// ArchivesToPurge returns at most limit archives that are expired or
	// purging and for which no purge is queued or runs, by UUID, from the first
	// behind after on.
	ArchivesToPurge(ctx context.Context, after string, limit int) ([]*Archive, error)
	// OpenPurges is how many purges of archives are queued or run.
	OpenPurges(ctx context.Context) (int, error)
	// Inventory returns what is known of the blobs of a store, by its UUID. A
	// blob of a task that ends meanwhile is in it.
	Inventory(ctx context.Context, store string) (*Inventory, error)
}

// TaskService is what users do with tasks.
type TaskService interface {
	CreateTask(ctx context.Context, t *Task) error
	Task(ctx context.Context, uuid string) (*Task, error)
	Tasks(ctx context.Context, f Filter) ([]*Task, error)
	// CancelPending ends a pending task as canceled, for a reason that is kept
	// as its error. It returns Conflict if the task is no longer pending.
	CancelPending(ctx context.Context, uuid, reason string, now time.Time) error
}

// TaskLedger is what a scheduler does with tasks. Each call is one
// transaction.
type TaskLedger interface {
	// ClaimTask leases the next pending task, by priority (0 first), then
	// age, to l.Owner until l.Expires, with a new epoch. A job, and a target,
	// with a running task is passed over, and so is what would go beyond a
	// limit of its target, its store or the lease. It returns NotFound when
	// there is nothing to claim.
	ClaimTask(ctx context.Context, l Lease, now time.Time) (*Task, error)
	// RenewTask extends a lease and stores what the task has logged so far.
	// It returns Conflict when the lease was lost.
	RenewTask(ctx context.Context, uuid string, l Lease, log string) error
	// FinishTask ends a running task and, for a backup that is done, inserts
	// its archive, in one transaction. It returns Conflict when the lease
	// was lost; nothing is written then.
	FinishTask(ctx context.Context, uuid string, l Lease, o Outcome) error
	// LapsedTasks returns the running tasks whose lease expired before now,
	// or that belong to an owner for which dead returns true.
	LapsedTasks(ctx context.Context, now time.Time, dead func(owner string) bool) ([]*Task, error)
}

// RunService is the ledger of expected occurrences.
type RunService interface {
	// RecordRun inserts a run, unique by job and due time. It returns
	// Conflict if that run is recorded already.
	RecordRun(ctx context.Context, r *Run) error
	// StartRun makes the task of a due run and links it, in one transaction.
	// A reason that the run has is kept.
	StartRun(ctx context.Context, r *Run, t *Task) error
	// EndRun sets the outcome and reason of a run that is due and is not to
	// be started. It returns Conflict if the run was started, which ends with
	// its task, or has ended.
	EndRun(ctx context.Context, uuid string, s RunStatus, reason string) error
	// WithdrawRun forgets a due run that its schedule, since changed, no
	// longer expects. It returns Conflict if the run was started or has ended.
	WithdrawRun(ctx context.Context, uuid string) error
	Runs(ctx context.Context, f Filter) ([]*Run, error)
	// DueRuns returns at most limit of the runs that are due at or before now,
	// the first due first, from the first behind after, a UUID, on.
	DueRuns(ctx context.Context, now time.Time, after string, limit int) ([]*DueRun, error)
	// NextDue returns when the first run is due that is due after t, or the
	// zero time.
	NextDue(ctx context.Context, t time.Time) (time.Time, error)
	// TakeSteps starts or ends runs, all in one transaction. A step whose Err
	// is set was not taken, the others were: it is Conflict, about status, if
	// the run is no longer due, and about due_at if one that is also to be due
	// is over. No two steps are of one job.
	TakeSteps(ctx context.Context, steps []*RunStep) error
}

// PlanService tells which jobs may want other runs than are recorded.
type PlanService interface {
	Plans(ctx context.Context, f PlanFilter) ([]*JobPlan, error)
	// ChangedSchedules returns those that have changed since their jobs were
	// planned, by UUID, from the first behind after on.
	ChangedSchedules(ctx context.Context, after string) ([]*Schedule, error)
	// Planned notes that the recorded runs are what these jobs want.
	Planned(ctx context.Context, plans []*JobPlan) error
	// SchedulePlanned notes that they are what a version of a schedule says.
	SchedulePlanned(ctx context.Context, uuid string, version int64) error
}

// ObjectiveService judges whether jobs meet their objectives.
type ObjectiveService interface {
	// JudgeObjectives records one event for each job that has come to miss
	// its objective, or to meet it again, since the last judgement, and
	// returns these events; a bounded number of them, so that it is to be
	// called until there are none.
	JudgeObjectives(ctx context.Context, now time.Time) ([]*Event, error)
}

// EventService keeps what happened.
type EventService interface {
	RecordEvent(ctx context.Context, e *Event) error
	Events(ctx context.Context, f Filter) ([]*Event, error)
}

// FigureService counts.
type FigureService interface {
	Figures(ctx context.Context) (*Figures, error)
}

// ModuleService keeps which plugin modules are installed. The modules
// themselves are files, named by their digests.
type ModuleService interface {
	// InstallModule adds a module, or replaces what is known of it, and makes
	// it the current one of its name.
	InstallModule(ctx context.Context, m *Module) error
	// Modules returns all modules, by name, the current one first.
	Modules(ctx context.Context) ([]*Module, error)
	// GrantModule replaces the grant of every module of a name.
	GrantModule(ctx context.Context, name string, grant json.RawMessage) error
	// RemoveModule forgets a module. It returns InUse while an archive that
	// is not purged was made by it, while a task of the plugin runs or, for
	// the last of its name, while a target or store uses the plugin.
	RemoveModule(ctx context.Context, name, digest string) error
}

// A Scheduler decides what runs when, and is the only writer of outcomes.
type Scheduler interface {
	// Start launches the scheduler and returns. Starting twice is harmless.
	Start(ctx context.Context) error
	// Stop takes no new work, lets running tasks end until ctx is done, then
	// cancels them, and returns when nothing runs any more.
	Stop(ctx context.Context) error
	// Submit makes a task of a request and queues it. It returns NotFound or
	// Invalid where the request names what does not exist or does not fit.
	Submit(ctx context.Context, r Request) (*Task, error)
	// Cancel ends a pending or running task. It returns Conflict if the task
	// has ended already.
	Cancel(ctx context.Context, uuid string) error
	// Follow returns the task as it is now and its log lines from number
	// after on. When there is nothing new it waits, at most so long, until
	// there is. Next is the number of the line behind the last.
	Follow(ctx context.Context, uuid string, after int, wait time.Duration) (t *Task, lines []string, next int, err error)
	// Open returns an archive and its content as an Opener does. The archive
	// is not purged until that is closed.
	Open(ctx context.Context, archive string, sealed bool) (*Archive, io.ReadCloser, error)
}

// An Opener gives the content of archives to those who ask for it: the bytes
// that the target gave, or, sealed, the blob as it lies in the store. t is a
// task as for a verification. Reading ends with io.EOF only when every byte was
// proven to be what was stored.
type Opener interface {
	Open(ctx context.Context, t *Task, sealed bool) (io.ReadCloser, error)
}

// A Runner runs one task to its end and returns all it learned. It never
// touches the catalog. A failure is an *Error that says which side failed
// first and why; whatever a failed backup left in the store has been purged,
// or the error says that it could not be. When ctx is canceled the runner
// cleans up before it returns.
type Runner interface {
	Run(ctx context.Context, t *Task, m Monitor) (TaskResult, error)
}

// A Monitor receives what happens while a task runs. Its methods are safe
// for concurrent use and do not block.
type Monitor interface {
	Log(source Source, line string)
	Progress(p Progress)
}

// NameLimit is the length, in bytes, of the longest name.
const NameLimit = 100

// ValidateName checks the name of a noun: 1 to NameLimit bytes of valid
// UTF-8 without control characters, without white space at its ends, and not
// of the form of a UUID, since names and UUIDs share their places.
func ValidateName(field, name string) error {
	switch {
	case name == "":
		return FieldErrorf(field, "is missing: a name is wanted")
	case len(name) > NameLimit:
		return FieldErrorf(field, "has %d bytes: at most %d are allowed", len(name), NameLimit)
	case !utf8.ValidString(name):
		return FieldErrorf(field, "%q is not valid UTF-8", name)
	case strings.TrimSpace(name) != name:
		return FieldErrorf(field, "%q begins or ends with white space", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return FieldErrorf(field, "%q has control characters", name)
	case IsUUID(name):
		return FieldErrorf(field, "%q has the form of a UUID: choose a name that cannot be mistaken for one", name)
	}
	return nil
}

// ValidateText checks a free text such as a summary or a note.
func ValidateText(field, s string) error {
	const limit = 10_000
	if len(s) > limit {
		return FieldErrorf(field, "has %d bytes: at most %d are allowed", len(s), limit)
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return FieldErrorf(field, "is not valid UTF-8 text")
	}
	return nil
}

// IsUUID reports whether s has the canonical form of a UUID, in lower case.
func IsUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// FirstError returns the first of errs that is not nil.
func FirstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
