//go:build linux

package mysql_test

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// TestRound backs up one, several and all databases, and restores them into a
// server that has lost them and into one that never had them.
func TestRound(t *testing.T) {
	m, other := testserver.StartMariaDB(t), testserver.StartMariaDB(t)
	m.SQL(content)
	for _, c := range []struct {
		name      string
		databases []string
	}{
		{"shop", []string{"shop"}},
		{oddName + ", shop", []string{oddName, "shop"}},
		{"", []string{oddName, "shop"}},
	} {
		t.Run(fmt.Sprintf("%q", c.name), func(t *testing.T) {
			fields := map[string]any{"mysql_database": c.name}
			want, people := snapshot(t, m, c.databases...), accounts(t, m)
			archive := backup(t, endpoint(t, m, fields))
			if bytes.Contains(archive, []byte("root-pw")) {
				t.Error("the archive has the password")
			}
			for _, name := range c.databases {
				m.SQL("DROP DATABASE " + quoteName(name))
			}
			if c.name == "" {
				m.SQL("DROP USER 'clerk'@'%'; DROP ROLE seller;")
			}
			for _, to := range []*testserver.MariaDB{m, other} {
				restore(t, endpoint(t, to, fields), archive)
				same(t, snapshot(t, to, c.databases...), want)
				if c.name == "" {
					same(t, accounts(t, to), people)
				}
			}
		})
	}
}

func quoteName(name string) string {
	var b bytes.Buffer
	for _, r := range name {
		if r == '`' {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	return "`" + b.String() + "`"
}

// TestProbe compares what the server, the archive and a restored server say
// that they hold.
func TestProbe(t *testing.T) {
	m, other := testserver.StartMariaDB(t), testserver.StartMariaDB(t)
	m.SQL(content)
	probe := func(to *testserver.MariaDB) map[string]int64 {
		t.Helper()
		p, err := target(t, endpoint(t, to, nil)).(plugin.Prober).Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Versions["server"] == "" || p.Versions["tool"] == "" {
			t.Errorf("versions %v", p.Versions)
		}
		return p.Counts
	}
	want := probe(m)
	archive := backup(t, endpoint(t, m, nil))
	inspected, err := target(t, endpoint(t, m, nil)).(plugin.Inspector).Inspect(t.Context(), bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(inspected.Counts, want) {
		t.Errorf("the archive says %v, the server %v", inspected.Counts, want)
	}
	restore(t, endpoint(t, other, nil), archive)
	if got := probe(other); !maps.Equal(got, want) {
		t.Errorf("restored %v, want %v", got, want)
	}
}

// TestProbeEstimates checks that the rows of large tables are not counted, nor
// left out.
func TestProbeEstimates(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL(`CREATE DATABASE shop; USE shop;
CREATE TABLE small (id INT PRIMARY KEY); INSERT INTO small SELECT seq FROM seq_1_to_10;
CREATE TABLE large (id INT PRIMARY KEY, note VARCHAR(4000)) CHARSET latin1; INSERT INTO large SELECT seq, REPEAT('x', 3900) FROM seq_1_to_40000;
ANALYZE TABLE large`)
	p, err := target(t, endpoint(t, m, nil)).(plugin.Prober).Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Counts["estimated_rows"]; p.Counts["rows"] != 10 || n < 20_000 || n > 80_000 || p.Counts["tables"] != 2 {
		t.Errorf("2 tables with 10 and 40000 rows: %v", p.Counts)
	}
}
