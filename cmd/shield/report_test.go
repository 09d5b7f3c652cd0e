package main

import (
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

// A task's own failure to reach something says nothing of the daemon.
func TestHints(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{shield.Errorf(shield.Unavailable, "", "no connection"), "shield: no connection\nhint: is shieldd running? SHIELD_API or --api says where\n"},
		{&taskEnded{shield.TaskFailed, shield.Unavailable, "no database"}, "shield: no database\n"},
	} {
		var b strings.Builder
		if report(&b, false, c.err); b.String() != c.want {
			t.Errorf("got %q, want %q", b.String(), c.want)
		}
	}
}
