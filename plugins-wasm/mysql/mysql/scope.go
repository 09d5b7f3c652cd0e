package mysql

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
)

// ofServer are databases that belong to the server. mysql is one of them, but
// is part of a dump of everything.
var ofServer = []string{"information_schema", "performance_schema", "sys", "mysql"}

// collationsSQL asks for the databases that the account may see, with the
// collation that is the default of each.
const collationsSQL = "SELECT 'collation', SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA;\n"

// collationsOf returns what the rows of collationsSQL say.
func collationsOf(rows [][]string) map[string]string {
	all := map[string]string{}
	for _, row := range rows {
		if len(row) == 3 && row[0] == "collation" {
			all[row[1]] = row[2]
		}
	}
	return all
}

// scope returns the databases of users that a backup takes.
func (t *target) scope(c *mysqlcli.Client, all map[string]string) ([]string, error) {
	there := slices.Sorted(maps.Keys(all))
	if len(t.databases) == 0 {
		return slices.DeleteFunc(there, func(name string) bool { return slices.Contains(ofServer, name) }), nil
	}
	for _, name := range t.databases {
		if !slices.Contains(there, name) {
			return nil, &shield.Error{Code: shield.NotFound, Field: "endpoint.mysql_database",
				Message: "has " + strconv.Quote(name) + ": there is no such database on " + c.Where() + ", or the account must not see it"}
		}
	}
	return t.databases, nil
}

// nameList returns names as a list of SQL, which must not be empty.
func nameList(names []string) string {
	quoted := []string{"''"}
	for _, name := range names {
		quoted = append(quoted, mysqlcli.QuoteText(name))
	}
	return strings.Join(quoted, ",")
}

// A table is one that a dump has.
type table struct {
	database, name, engine, kind string
	transactional                bool
	rows, size                   int64 // bytes; as the server's statistics have them
}

// tables returns the tables of databases, sequences among them.
func tables(ctx context.Context, c *mysqlcli.Client, databases []string) ([]table, error) {
	rows, err := c.Query(ctx, tablesSQL("t.TABLE_SCHEMA IN ("+nameList(databases)+")"))
	if err != nil {
		return nil, err
	}
	return tablesOf(rows), nil
}

// tablesSQL asks for the tables of which a condition is true.
func tablesSQL(condition string) string {
	return "SELECT 'table', t.TABLE_SCHEMA, t.TABLE_NAME, COALESCE(t.ENGINE, ''), COALESCE(e.TRANSACTIONS, 'NO'), t.TABLE_TYPE, COALESCE(t.TABLE_ROWS, 0), COALESCE(t.DATA_LENGTH, 0)" +
		" FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE" +
		" WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') AND " + condition + " ORDER BY 2, 3;\n"
}

// tablesOf returns what the rows of tablesSQL say.
func tablesOf(rows [][]string) []table {
	var all []table
	for _, row := range rows {
		if len(row) == 8 && row[0] == "table" {
			x := table{database: row[1], name: row[2], engine: row[3], kind: row[5], transactional: row[4] == "YES"}
			x.rows, _ = strconv.ParseInt(row[6], 10, 64) // 0: they are counted
			x.size, _ = strconv.ParseInt(row[7], 10, 64)
			all = append(all, x)
		}
	}
	return all
}

// warnEngines says which tables a transaction does not cover.
func (t *target) warnEngines(all []table) {
	var names []string
	for _, x := range all {
		if !x.transactional {
			names = append(names, x.database+"."+x.name+" ("+x.engine+")")
		}
	}
	if n := len(names); n > 0 && t.Consistency == byTransaction {
		t.log("a transaction does not cover " + strconv.Itoa(n) + " tables, which may be dumped as of different times: " +
			strings.Join(names[:min(n, 5)], ", ") + "; mysql_consistency lock would")
	}
}
