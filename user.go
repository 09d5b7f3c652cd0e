package shield

import (
	"slices"
	"strings"
)

// A Role is what somebody may do. Each includes the ones before it.
type Role string

// The roles, from the least to the most.
const (
	RoleViewer   Role = "viewer"   // sees all but secrets and content
	RoleOperator Role = "operator" // runs, restores, verifies, cancels, holds
	RoleEngineer Role = "engineer" // configures
	RoleAdmin    Role = "admin"    // manages users, tokens, agents and plugins
)

// Roles are all of them, from the least to the most.
var Roles = []Role{RoleViewer, RoleOperator, RoleEngineer, RoleAdmin}

// Allows reports whether what wants the role want is open to r. An unknown
// role is allowed nothing.
func (r Role) Allows(want Role) bool {
	have, need := slices.Index(Roles, r), slices.Index(Roles, want)
	return need >= 0 && have >= need
}

// Validate reports a role that does not exist.
func (r Role) Validate() error {
	if slices.Contains(Roles, r) {
		return nil
	}
	names := make([]string, len(Roles))
	for n, known := range Roles {
		names[n] = string(known)
	}
	return FieldErrorf("role", "is %.100q: it must be one of %s", string(r), strings.Join(names, ", "))
}

// A Principal is who makes a request.
type Principal struct {
	Name string `json:"name"` // the user's, or "token NAME"
	Role Role   `json:"role"`
}
