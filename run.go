package shield

import "time"

// A RunStatus is the state of a Run.
type RunStatus string

// The states of a run. All but RunDue and RunStarted are final.
const (
	RunDue       RunStatus = "due"       // recorded, its time has not come or it waits for the scheduler
	RunStarted   RunStatus = "started"   // its task exists
	RunSucceeded RunStatus = "succeeded" // its task is done
	RunFailed    RunStatus = "failed"    // its task failed or was canceled
	RunMissed    RunStatus = "missed"    // its time passed with nobody to start it
	RunSkipped   RunStatus = "skipped"   // not started on purpose: see Reason
)

// Final reports whether a run in state s can change no more.
func (s RunStatus) Final() bool { return s != RunDue && s != RunStarted }

// A Run is one expected occurrence of a job, recorded before it is due, so
// that an occurrence that never happened can be told from one that was never
// planned. It is unique by job and due time.
type Run struct {
	UUID   string    `json:"uuid"`
	Job    string    `json:"job_uuid"`
	DueAt  time.Time `json:"due_at"`
	Task   string    `json:"task_uuid"`
	Status RunStatus `json:"status"`
	Reason string    `json:"reason"`
}

// A DueRun is a run whose time has come, with what it takes to start it.
type DueRun struct {
	Run      *Run
	Job      *Job // nil if it was deleted; what it refers to, too
	Schedule *Schedule
	Policy   *Policy
	Target   *Target
	Store    *Store
	Open     bool // a backup of the job has not ended
}

// A RunStep is what becomes of a run that is due.
type RunStep struct {
	// Run is the run as it is to be: started with Task, or ended with a reason.
	Run  *Run
	Task *Task
	// Event, if there is one, is recorded with it.
	Event *Event
	// Also are runs of the same job that are recorded with it, unless they are
	// already: those that were missed, and the next one.
	Also []*RunStep
	// Err says why the step was not taken.
	Err error
}

// A JobPlan is what planning needs of a job.
type JobPlan struct {
	Job             string // UUID
	Name            string
	Version         int64
	Schedule        string // UUID
	ScheduleVersion int64
	Due             []*Run // those that are recorded and not started
}

// A PlanFilter narrows jobs to be planned. They come by UUID, from the first
// behind After on.
type PlanFilter struct {
	Changed  bool   // only those that have changed since they were planned
	Schedule string // UUID
	After    string
	Limit    int
}
