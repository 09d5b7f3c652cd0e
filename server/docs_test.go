package server_test

import (
	"os"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// noLibrary and noAgents are there so that their routes are.
type (
	noLibrary struct{ server.Library }
	noAgents  struct{ server.Agents }
)

// TestDocs holds docs/api.md to the routes and codes that there are.
func TestDocs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	s := server.New(nilCatalog{}, nil, failing{}, nil, server.Options{Token: token, Library: noLibrary{}, Agents: noAgents{}})
	for _, route := range s.Routes() {
		if !strings.Contains(text, "`"+route+"`") {
			t.Errorf("docs/api.md lacks %s", route)
		}
	}
	for _, c := range []shield.Code{
		shield.Invalid, shield.NotFound, shield.Conflict, shield.InUse, shield.Unauthorized, shield.Forbidden, shield.Throttled, shield.Unavailable, shield.Canceled,
		shield.TimedOut, shield.Corrupt, shield.TargetFailed, shield.StoreFailed, shield.PluginFailed, shield.Interrupted, shield.Internal,
	} {
		if !strings.Contains(text, "`"+string(c)+"`") {
			t.Errorf("docs/api.md lacks the code %s", c)
		}
	}
}
