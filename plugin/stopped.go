package plugin

import (
	"fmt"

	"github.com/shieldhq/shield"
)

// Stopped reports whether a target with this endpoint, as Resolve returned it,
// is restored while its system is stopped.
func (i *Info) Stopped(e shield.Endpoint) bool {
	fields, err := e.Fields()
	if err != nil || i.RestoresStopped == nil {
		return false
	}
	for name, want := range i.RestoresStopped {
		if fmt.Sprint(fields[name]) != want {
			return false
		}
	}
	return true
}
