package mongo

import (
	"regexp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// Lines of the tools begin with the time and a tab. Those of progress may
// have any name of a collection in them.
var (
	progress = regexp.MustCompile(`^\S+\s+(?:writing |done dumping |finished restoring |restoring |reading |preparing |dropping |demultiplexing |building |no indexes |index: |continuing |\[[.#]+\])`)
	trouble  = regexp.MustCompile(`(?i)\bfailed:|\berrors?\b|panic|not authorized|unauthorized|\b[1-9]\d* document\(s\) failed to restore`)
)

// dialect is how mongodump and mongorestore tell of failures. mongorestore
// exits with 0 after documents that it could not restore.
func dialect() *tool.Dialect {
	return &tool.Dialect{
		Complaint: func(line string) bool { return !progress.MatchString(line) && trouble.MatchString(line) },
		Rules: []tool.Rule{
			{Text: "authentication failed", Code: shield.Unauthorized},
			{Text: "unable to authenticate", Code: shield.Unauthorized},
			{Text: "auth error", Code: shield.Unauthorized},
			{Text: "not authorized", Code: shield.Forbidden},
			{Text: "(unauthorized)", Code: shield.Forbidden},
			{Text: "server selection error", Code: shield.Unavailable},
			{Text: "could not connect to server", Code: shield.Unavailable},
			{Text: "can't create session", Code: shield.Unavailable},
			{Text: "connection() error", Code: shield.Unavailable},
			{Text: "socket was unexpectedly closed", Code: shield.Unavailable},
			{Text: "incomplete read of message header", Code: shield.Unavailable},
			{Text: "unable to write wire message", Code: shield.Unavailable},
			{Text: "e11000", Code: shield.Conflict},
		},
	}
}
