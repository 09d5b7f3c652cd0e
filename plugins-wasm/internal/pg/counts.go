package pg

import (
	"context"
	"strconv"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// countSQL prints what is counted of a database, a line "name,number" for
// each, and "rows" once for each table. It is one snapshot. Tables of more than
// 128 MiB are not read for it, which would take about as long as to dump them:
// their rows are those that the statistics have by page, for the pages that
// there are.
const countSQL = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL row_security = off;
SELECT CASE c.relkind WHEN 'S' THEN 'sequences' WHEN 'v' THEN 'views' WHEN 'm' THEN 'views' ELSE 'tables' END, count(*)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm') AND ` + userObjects + ` GROUP BY 1;
SELECT 'large_objects', count(*) FROM pg_largeobject_metadata;
SELECT CASE WHEN pg_relation_size(c.oid) > 128 * 1024 * 1024 AND c.reltuples > 0 AND c.relpages > 0
    THEN format('SELECT ''estimated_rows'', %s', (c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int))::bigint)
    ELSE format('SELECT ''rows'', count(*) FROM ONLY %I.%I', n.nspname, c.relname) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND ` + userObjects + ` \gexec
COMMIT;`

// Count counts what is in databases, all if none is named; these are asked
// for through the database at.
func (s *Server) Count(ctx context.Context, at string, databases []string) (plugin.Probe, error) {
	p := plugin.Probe{Counts: map[string]int64{"tables": 0, "rows": 0}, Versions: map[string]string{}}
	all, sql := len(databases) == 0, databasesSQL
	if !all {
		at, sql = databases[0], countSQL
	}
	f, rows, err := s.factsAnd(ctx, at, sql)
	if err != nil && f != nil {
		err = s.hint(err)
	}
	if err != nil {
		return p, err
	}
	p.Versions["server"] = f.String()
	if v, err := tool.VersionOf(ctx, s.Tools, "pg_dump"); err == nil {
		p.Versions["pg_dump"] = v.Text
	}
	if all {
		databases = firstOf(rows)
	}
	p.Counts["databases"] = int64(len(databases))
	for n, d := range databases {
		if all || n > 0 {
			if rows, err = s.Query(ctx, d, countSQL); err != nil {
				return p, s.hint(err)
			}
		}
		if err := addCounts(p.Counts, rows); err != nil {
			return p, err
		}
	}
	return p, nil
}

// addCounts adds what countSQL has printed.
func addCounts(counts map[string]int64, rows [][]string) error {
	for _, row := range rows {
		n, err := strconv.ParseInt(row[len(row)-1], 10, 64)
		if err != nil || len(row) != 2 {
			return shield.Errorf(shield.TargetFailed, "", "the server answers %q where a count was wanted", row)
		}
		counts[row[0]] += n
	}
	return nil
}

// Unreadable returns what of a database a role must not read, at most ten of
// it.
func (s *Server) Unreadable(ctx context.Context, database string) ([]string, error) {
	return s.column(ctx, database, `SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'S') AND `+userObjects+`
  AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')) ORDER BY 1 LIMIT 10`)
}
