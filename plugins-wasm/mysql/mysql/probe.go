package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
)

// countedTo is how many bytes a table has at most whose rows are counted. It
// takes about as long to count those of a larger one as to dump it.
const countedTo = 128 << 20

// estimated reports whether the rows of a table are taken from the server's
// statistics. Engines without transactions know how many they have.
func (x *table) estimated() bool { return x.transactional && x.size > countedTo && x.rows > 0 }

// Probe implements plugin.Prober. Rows are counted one by one, at one point
// in time for transactional tables, except those of large tables.
func (t *target) Probe(ctx context.Context) (plugin.Probe, error) {
	s, err := t.source(ctx)
	if err != nil {
		return plugin.Probe{}, err
	}
	rows, err := s.Query(ctx, countStatements(s.databases, s.tables))
	if err != nil {
		return plugin.Probe{}, err
	}
	counts := map[string]int64{"databases": int64(len(s.databases)), "tables": int64(len(s.tables)), "rows": 0}
	for _, row := range rows {
		n, err := strconv.ParseInt(row[len(row)-1], 10, 64)
		if err != nil || len(row) != 2 {
			return plugin.Probe{}, shield.Errorf(shield.TargetFailed, "", "%s counts %q: a number was wanted", s.Where(), row)
		}
		counts[row[0]] += n
	}
	for _, x := range s.tables {
		if x.estimated() {
			counts["estimated_rows"] += x.rows
		}
	}
	return plugin.Probe{Counts: counts, Versions: map[string]string{
		"server": s.server.String(), "tool": string(s.program.Vendor) + " " + s.program.Version.Text,
	}}, nil
}

// countStatements returns SQL whose results are pairs of what was counted and
// how many there are.
func countStatements(databases []string, all []table) string {
	var b strings.Builder
	b.WriteString("START TRANSACTION WITH CONSISTENT SNAPSHOT;\n")
	in := " IN (" + nameList(databases) + ");\n"
	for _, q := range [][3]string{
		{"views", "VIEWS", "TABLE_SCHEMA"}, {"routines", "ROUTINES", "ROUTINE_SCHEMA"},
		{"triggers", "TRIGGERS", "TRIGGER_SCHEMA"}, {"events", "EVENTS", "EVENT_SCHEMA"},
	} {
		fmt.Fprintf(&b, "SELECT '%s', COUNT(*) FROM information_schema.%s WHERE %s%s", q[0], q[1], q[2], in)
	}
	for _, x := range all {
		if x.kind != "SEQUENCE" && !x.estimated() {
			fmt.Fprintf(&b, "SELECT 'rows', COUNT(*) FROM %s.%s;\n", mysqlcli.QuoteName(x.database), mysqlcli.QuoteName(x.name))
		}
	}
	return b.String()
}
