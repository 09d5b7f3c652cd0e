package shield_test

import (
	"testing"

	"github.com/shieldhq/shield"
)

func TestRolesIncludeTheOnesBefore(t *testing.T) {
	for have, r := range shield.Roles {
		for need, want := range shield.Roles {
			if got := r.Allows(want); got != (have >= need) {
				t.Errorf("%s allows what %s may: %v", r, want, got)
			}
		}
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, none := range []shield.Role{"", "root", "Admin"} {
		if none.Allows(shield.RoleViewer) || shield.RoleAdmin.Allows(none) || none.Validate() == nil {
			t.Errorf("%q counts as a role", none)
		}
	}
}

func TestUserIsAtMost(t *testing.T) {
	u := shield.User{Meta: shield.Meta{Name: "ann"}, Role: shield.RoleOperator}
	for most, want := range map[shield.Role]shield.Role{
		shield.RoleViewer: shield.RoleViewer, shield.RoleOperator: shield.RoleOperator, shield.RoleAdmin: shield.RoleOperator, "": "", "root": "",
	} {
		if p := u.Principal(most); p.Role != want || p.Name != "ann" {
			t.Errorf("an operator with a token for %s is %+v", most, p)
		}
	}
}
