package shield

import (
	"context"
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

// AdminName is who presents the daemon's own admin token, and SystemName who
// does what nobody asked for. No user is called so.
const (
	AdminName  = "admin"
	SystemName = "system"
)

// A Principal is who makes a request.
type Principal struct {
	// Name is the user's, AdminName, or "token NAME" for a token that belongs
	// to no user.
	Name string `json:"name"`
	Role Role   `json:"role"`
	// The UUIDs of the user, and of the token or session that the request is
	// made with; each is empty if there is none.
	User    string `json:"-"`
	Token   string `json:"-"`
	Session string `json:"-"`
}

// A User is somebody who logs in with a name and a password.
type User struct {
	Meta
	Role     Role `json:"role"`
	Disabled bool `json:"disabled"` // neither the password nor a token or session of the user works
	// Password is a hash where a catalog keeps it. Clients send the password
	// itself, and are shown Redacted.
	Password Secret `json:"password"`
}

// Validate checks everything but the password.
func (u *User) Validate() error {
	if u.Name == AdminName || u.Name == SystemName || strings.HasPrefix(u.Name, "token ") {
		return FieldErrorf("name", "%q is what shield itself is called where it says who did something: choose another", u.Name)
	}
	return FirstError(u.validate(), u.Role.Validate())
}

// Principal is who the user is when something is asked for with no more than
// the rights of a role.
func (u *User) Principal(most Role) Principal {
	return Principal{Name: u.Name, Role: u.Role.atMost(most), User: u.UUID}
}

// atMost is the lesser of two roles; none, if one of them is none.
func (r Role) atMost(most Role) Role {
	switch {
	case r.Allows(most):
		return most
	case most.Allows(r):
		return r
	}
	return ""
}

// UserService keeps users. To delete a user deletes the user's tokens and
// sessions; to change the password, or to disable the user, deletes the
// sessions.
type UserService interface {
	CreateUser(ctx context.Context, u *User) error
	User(ctx context.Context, ref string) (*User, error)
	Users(ctx context.Context, f Filter) ([]*User, error)
	UpdateUser(ctx context.Context, u *User) error
	DeleteUser(ctx context.Context, ref string) error
}
