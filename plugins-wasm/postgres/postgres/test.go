package postgres

import (
	"context"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/pg"
)

// Test implements plugin.Tester: the server answers, the programs fit it, and
// the role may do what a backup needs.
func (t *target) Test(ctx context.Context) error {
	if t.bad != nil {
		return t.bad
	}
	s, err := t.source(ctx)
	if err != nil {
		return err
	}
	f, err := s.Facts(ctx, t.at())
	if err != nil {
		return err
	}
	name := "pg_dump"
	if t.Method == physical {
		name = "pg_basebackup"
	}
	v, err := s.CheckClient(ctx, name, f)
	if err != nil {
		return err
	}
	t.log(f.String() + ", " + name + " " + v.Text)
	if t.Method == physical {
		return s.MayCopyFiles(ctx, f)
	}
	return t.testRights(ctx, s, f)
}

func (t *target) testRights(ctx context.Context, s *pg.Server, f *pg.Facts) error {
	databases, err := t.databases, error(nil)
	if len(databases) == 0 {
		if databases, err = s.Databases(ctx); err != nil {
			return err
		}
	}
	for _, d := range databases {
		bad, err := s.Unreadable(ctx, d)
		if err != nil {
			return err
		}
		if len(bad) > 0 {
			return shield.Errorf(shield.Forbidden, "", "the role %s must not read all of the database %s: %s; GRANT pg_read_all_data TO %s (PostgreSQL 14 and newer), or grant SELECT on them and USAGE on their schemas",
				f.User, d, strings.Join(bad, ", "), pg.Ident(f.User))
		}
	}
	if len(t.databases) != 1 && !f.Passwords {
		t.log("the role " + f.User + " is no superuser: backups lack the passwords of roles")
	}
	return nil
}
