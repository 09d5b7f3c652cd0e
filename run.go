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
