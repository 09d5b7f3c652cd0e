//go:build linux

package postgres_test

import (
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

var variable = regexp.MustCompile(`(?m)^(\\(un)?restrict .*|--.*)$`)

// sameDump compares two archives of pg_dump by the SQL that they stand for.
func sameDump(a, b []byte) error {
	var sql [2]string
	for n, archive := range [][]byte{a, b} {
		cmd := exec.Command(testserver.PostgresBin+"/pg_restore", "-f", "-")
		cmd.Stdin = strings.NewReader(string(archive))
		out, err := cmd.Output()
		if err != nil {
			return err
		}
		sql[n] = variable.ReplaceAllString(string(out), "")
	}
	if sql[0] != sql[1] {
		return errors.New("they stand for different SQL")
	}
	return nil
}

func TestConformance(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	both(t, func(t *testing.T, o plugin.Opener) {
		plugintest.Run(t, o, plugintest.Config{
			TargetEndpoint: endpoint(t, p, fields{"pg_database": "app"}),
			Equal:          sameDump, ReadsAll: true,
		})
	})
}

// TestOneDatabase restores into the database itself, into another one, and
// into another server.
func TestOneDatabase(t *testing.T) {
	p, q := testserver.StartPostgres(t), testserver.StartPostgres(t)
	const name = `we "ird' = ñ`
	quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	p.SQL("postgres", "CREATE DATABASE "+quoted+"; CREATE ROLE owner; CREATE DATABASE plain; ALTER DATABASE plain OWNER TO owner; "+
		"ALTER DATABASE plain SET search_path TO s, public; COMMENT ON DATABASE plain IS 'of DATABASE plain'; GRANT CONNECT ON DATABASE plain TO owner")
	p.SQL("plain", "CREATE SCHEMA s AUTHORIZATION owner; CREATE TABLE s.t AS SELECT generate_series(1,100) n; ALTER TABLE s.t OWNER TO owner")
	q.SQL("postgres", "CREATE ROLE owner")
	both(t, func(t *testing.T, o plugin.Opener) {
		want := p.DumpOne("plain")
		b := mustBackup(t, o, endpoint(t, p, fields{"pg_database": "plain"}))
		p.SQL("plain", "DROP TABLE s.t; CREATE TABLE later (n int)")
		p.SQL("postgres", "COMMENT ON DATABASE plain IS 'changed'")
		for _, step := range []error{
			restore(t, o, endpoint(t, p, fields{"pg_database": "plain"}), b),
			restore(t, o, endpoint(t, q, nil), b),
			restore(t, o, endpoint(t, q, fields{"pg_database": `"` + strings.ReplaceAll(name, `"`, `""`) + `"`}), b),
		} {
			if step != nil {
				t.Fatal(step)
			}
		}
		for n, got := range []string{p.DumpOne("plain"), q.DumpOne("plain"), strings.ReplaceAll(q.DumpOne("dbname='we \"ird\\' = ñ'"), quoted, "plain")} {
			got = strings.ReplaceAll(strings.ReplaceAll(got, name, "plain"), `dbname='we \"ird\' = ñ'`, "plain")
			if n < 2 && got != want {
				t.Errorf("%d: got\n%s\nwant\n%s", n, got, want)
			}
			if !strings.Contains(got, "COMMENT ON DATABASE plain IS 'of DATABASE plain'") || !strings.Contains(got, "ALTER DATABASE plain OWNER TO owner") {
				t.Errorf("%d: the database itself: %s", n, got)
			}
		}
		left := p.SQL("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '%shield%'")
		if left != "0" {
			t.Errorf("%s databases are left over", left)
		}
	})
}
