//go:build linux

package postgres_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/postgres/postgres"
)

// ownPassword is the line of a dump about the role that tests run as: a
// restore leaves it alone.
var ownPassword = regexp.MustCompile(`(?m)^ALTER ROLE postgres WITH .*\n`)

func cluster(p *testserver.Postgres) string { return ownPassword.ReplaceAllString(p.Dump(), "") }

// varied makes roles and databases of all sorts.
func varied(p *testserver.Postgres) {
	p.SQL("postgres", `CREATE ROLE boss LOGIN PASSWORD 'boss-pw' VALID UNTIL '2099-01-01';
CREATE ROLE "od'd ""role" NOLOGIN;
GRANT boss TO "od'd ""role";
ALTER ROLE boss SET work_mem = '8MB';
CREATE DATABASE app OWNER boss;
CREATE DATABASE "Ünïcode db";
CREATE DATABASE none;
ALTER DATABASE app SET timezone TO 'Asia/Tokyo';
ALTER ROLE boss IN DATABASE app SET search_path TO inner_schema;
COMMENT ON DATABASE app IS E'two\n\\connect postgres\nlines; DROP TABLE x;';
CREATE TABLE in_postgres (n int);
INSERT INTO in_postgres VALUES (1);`)
	p.SQL("app", `CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore;
CREATE SCHEMA inner_schema AUTHORIZATION boss;
SET search_path TO inner_schema, public;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE person (id bigserial PRIMARY KEY, name text NOT NULL, mood mood, extra public.hstore, at timestamptz DEFAULT now(), double int GENERATED ALWAYS AS (length(name) * 2) STORED);
CREATE INDEX ON person USING gin (name public.gin_trgm_ops);
INSERT INTO person (name, mood, extra) SELECT E'naïve ☃ \\N \t\n ''q'' ' || n, 'glad', 'k=>v' FROM generate_series(1, 500) n;
CREATE TABLE child (id int, person bigint REFERENCES person, raw bytea);
INSERT INTO child SELECT n, n, decode(md5(n::text), 'hex') FROM generate_series(1, 500) n;
CREATE TABLE part (d date, n int) PARTITION BY RANGE (d);
CREATE TABLE part_old PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
INSERT INTO part VALUES ('2020-02-02', 1);
CREATE SEQUENCE odd INCREMENT -3 START 100 MINVALUE -1000 MAXVALUE 100; SELECT nextval('odd'), nextval('odd');
CREATE VIEW glad AS SELECT name FROM person WHERE mood = 'glad';
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM person;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.raw := 'x;--'; RETURN NEW; END $f$;
CREATE TRIGGER stamped BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE child ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON child USING (id > 0);
GRANT SELECT ON person TO "od'd ""role";
SELECT public.lo_x FROM (SELECT lo_from_bytea(777, decode(repeat('00ff', 5000), 'hex')) lo_x) public;`)
	p.SQL("Ünïcode db", `CREATE TABLE "tâble;" ("cölumn""" text); INSERT INTO "tâble;" VALUES (E'\\.'), (E'-- PostgreSQL database dump complete');`)
}

// TestCluster backs up a whole cluster, destroys it, restores it, and restores
// it again into another server.
func TestCluster(t *testing.T) {
	both(t, func(t *testing.T, o plugin.Opener) {
		p, q := testserver.StartPostgres(t), testserver.StartPostgres(t)
		varied(p)
		q.SQL("postgres", "ALTER ROLE postgres PASSWORD 'another'")
		q.Password = "another"
		want := cluster(p)
		b := mustBackup(t, o, endpoint(t, p, nil))
		p.SQL("postgres", `DROP DATABASE app; CREATE DATABASE app; DROP TABLE in_postgres; CREATE TABLE in_the_way (n int); DROP DATABASE none`)
		for _, server := range []*testserver.Postgres{p, q} {
			if err := restore(t, o, endpoint(t, server, nil), b); err != nil {
				t.Fatal(err)
			}
			if got := cluster(server); got != want {
				t.Error(difference(got, want))
			}
			if n := server.SQL("app", "SELECT count(*), length(lo_get(777)) FROM inner_schema.person"); n != "500|10000" {
				t.Error(n)
			}
		}
		target, _ := open(t, o, endpoint(t, q, nil))
		probe, inspected := probe(t, target, b)
		for _, c := range []string{"databases", "tables", "rows"} {
			if probe.Counts[c] != inspected.Counts[c] || c == "rows" && probe.Counts[c] != 1004 {
				t.Errorf("%s: the server has %d, the archive %d", c, probe.Counts[c], inspected.Counts[c])
			}
		}
	})
}

// probe returns what a target has and what its archive says.
func probe(t testing.TB, target plugin.Target, b []byte) (have, archive plugin.Probe) {
	t.Helper()
	p, ok := target.(plugin.Prober)
	i, ok2 := target.(plugin.Inspector)
	if !ok || !ok2 {
		t.Fatal("the carrier does not probe")
	}
	have, err := p.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if archive, err = i.Inspect(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return have, archive
}

// TestSeveral dumps two of three databases, and restores them as a role that
// is there.
func TestSeveral(t *testing.T) {
	p, q := testserver.StartPostgres(t), testserver.StartPostgres(t)
	varied(p)
	b := mustBackup(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, p, fields{"pg_database": `app, "Ünïcode db"`}))
	if err := restore(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, q, nil), b); err != nil {
		t.Fatal(err)
	}
	if got := q.SQL("postgres", "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database"); got != "app,postgres,template0,template1,Ünïcode db" {
		t.Error(got)
	}
	if q.DumpOne("app") != p.DumpOne("app") {
		t.Error("app differs")
	}
	err := restore(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, q, fields{"pg_existing": "fail"}), b)
	wantError(t, err, shield.Conflict, "app", "exists")
	if err := restore(t, shieldtest.Sandboxed(t, "postgres"), endpoint(t, q, fields{"pg_database": "one"}), b); shield.CodeOf(err) != shield.Invalid {
		t.Error(err)
	}
}

// TestClusterFails breaks a restore in its midst: what was there is back.
func TestClusterFails(t *testing.T) {
	p, q := testserver.StartPostgres(t), testserver.StartPostgres(t)
	small(p, "app")
	small(p, "later")
	small(q, "later")
	small(q, "other")
	q.SQL("later", "CREATE TABLE mine (n int)")
	want := cluster(q)
	both(t, func(t *testing.T, o plugin.Opener) {
		b := mustBackup(t, o, endpoint(t, p, nil))
		broken := bytes.Replace(b, []byte("\nCREATE VIEW public.v AS"), []byte("\nCREATE VIEW nowhere.v AS"), 3)
		if bytes.Equal(b, broken) {
			t.Fatal("nothing to break")
		}
		last := bytes.LastIndex(b, []byte("\nCREATE VIEW public.v AS"))
		broken = append(b[:last:last], strings.Replace(string(b[last:]), "VIEW public.v", "VIEW nowhere.v", 1)...)
		err := restore(t, o, endpoint(t, q, nil), broken)
		wantError(t, err, shield.TargetFailed, `psql`, `schema "nowhere" does not exist`)
		if got := cluster(q); got != want {
			t.Error(difference(got, want))
		}
		err = restore(t, o, endpoint(t, q, nil), b[:last])
		if shield.CodeOf(err) != shield.Corrupt && shield.CodeOf(err) != shield.TargetFailed {
			t.Errorf("a stream that ends early: %v", err)
		}
		if got := cluster(q); got != want {
			t.Error("after a stream that ends early:", difference(got, want))
		}
	})
}

// TestProbeEstimates checks that the rows of large tables are not counted, nor
// left out, once the server has looked at them.
func TestProbeEstimates(t *testing.T) {
	p := testserver.StartPostgres(t, "autovacuum=off")
	p.SQL("postgres", `CREATE DATABASE shop`)
	p.SQL("shop", `CREATE TABLE small AS SELECT n FROM generate_series(1, 10) n;
CREATE UNLOGGED TABLE large (n int, note text); ALTER TABLE large ALTER note SET STORAGE PLAIN`)
	p.SQL("shop", `INSERT INTO large SELECT n, repeat('x', 3900) FROM generate_series(1, 40000) n`)
	target, _ := open(t, postgres.Plugin(), endpoint(t, p, fields{"pg_database": "shop"}))
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			p.SQL("shop", "ANALYZE; INSERT INTO large SELECT n, repeat('x', 3900) FROM generate_series(1, 10000) n")
		}
		have, err := target.(plugin.Prober).Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows, estimated := have.Counts["rows"], have.Counts["estimated_rows"]
		if !analyzed && (rows != 40_010 || estimated != 0) || analyzed && (rows != 10 || estimated < 49_000 || estimated > 51_000) {
			t.Errorf("analyzed %v: %v", analyzed, have.Counts)
		}
	}
}
