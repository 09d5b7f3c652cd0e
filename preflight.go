package shield

import "fmt"

// A FindingState is what a check of a preflight came to.
type FindingState string

// The states of a finding. Only one that failed keeps a restore from being
// made.
const (
	FindingOK      FindingState = "ok"
	FindingWarning FindingState = "warning" // worth a look, and no reason not to restore
	FindingFailed  FindingState = "failed"  // the restore is refused
	FindingSkipped FindingState = "skipped" // nobody can say
)

// The checks of a preflight, in the order in which they are made.
const (
	CheckConfirmation = "confirmation" // confirmed by the target's name, or a scratch target
	CheckArchive      = "archive"      // can be restored
	CheckNewest       = "newest"       // no newer archive of its target
	CheckSuspicion    = "suspicion"    // does not look unlike those before it
	CheckPlugin       = "plugin"       // is there, in a version that reads the archive
	CheckTarget       = "target"       // can be reached, by the plugin's own test
	CheckSpace        = "space"        // has room for what was taken
	CheckStore        = "store"        // can be reached and has the blob
)

// A Finding is what one check before a restore came to.
type Finding struct {
	Check string       `json:"check"`
	State FindingState `json:"state"`
	Code  Code         `json:"code,omitempty"` // of what failed, or is warned of
	Text  string       `json:"text"`
}

// Found returns a finding whose text is formatted as by fmt.Sprintf.
func Found(check string, s FindingState, format string, args ...any) Finding {
	return Finding{Check: check, State: s, Text: fmt.Sprintf(format, args...)}
}

// FoundError returns a finding about an error, with its code.
func FoundError(check string, s FindingState, err error) Finding {
	return Finding{Check: check, State: s, Code: CodeOf(err), Text: err.Error()}
}

// String returns the finding as a line of a log.
func (f Finding) String() string {
	return fmt.Sprintf("preflight: %s %s: %s", f.Check, f.State, f.Text)
}

// Refusal returns why a restore is refused: the first finding that failed, as
// an error; nil if none did.
func Refusal(all []Finding) error {
	for _, f := range all {
		if f.State == FindingFailed {
			return &Error{Code: f.Code, Message: "nothing was restored: " + f.Text}
		}
	}
	return nil
}
