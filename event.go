package shield

import "time"

// An EventKind names what happened.
type EventKind string

// The kinds of events.
const (
	EventTaskEnded           EventKind = "task.ended"
	EventArchiveMade         EventKind = "archive.created"
	EventArchivePurged       EventKind = "archive.purged"
	EventArchiveSuspicious   EventKind = "archive.suspicious"   // far smaller than its job's archives before it
	EventArchiveAcknowledged EventKind = "archive.acknowledged" // somebody says that a suspicious one is fine
	EventArchiveMissing      EventKind = "archive.missing"      // its store does not have it any more
	EventArchiveFound        EventKind = "archive.found"        // its store has it again, or it is good again
	EventArchiveDamaged      EventKind = "archive.damaged"      // a verification found it to be damaged
	EventStoreReconciled     EventKind = "store.reconciled"     // a store was compared with the catalog
	EventRunMissed           EventKind = "run.missed"
	EventRunSkipped          EventKind = "run.skipped"
	EventJobBreached         EventKind = "job.breached" // its objective is missed
	EventJobMet              EventKind = "job.met"      // its objective is met again
	EventDaemonStarted       EventKind = "daemon.started"
	EventPluginChanged       EventKind = "plugin.changed" // installed, upgraded, granted, removed
	EventPluginDenied        EventKind = "plugin.denied"  // a plugin tried what it was not granted
	EventAgentEnrolled       EventKind = "agent.enrolled"
	EventAgentDeleted        EventKind = "agent.deleted" // and its certificate refused from then on
	EventAgentRefused        EventKind = "agent.refused" // a wrong or used token, or two agents of one name
	EventAgentUnseen         EventKind = "agent.unseen"  // not connected for too long
	EventAgentSeen           EventKind = "agent.seen"    // connected again after that
)

// An Event is something that happened, for people and programs that watch.
type Event struct {
	ID      int64     `json:"id"` // grows; set by the catalog
	At      time.Time `json:"at"`
	Kind    EventKind `json:"kind"`
	Subject string    `json:"subject"` // UUID of the noun it is about, or the name of a plugin
	Message string    `json:"message"`
}
