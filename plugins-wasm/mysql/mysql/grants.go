package mysql

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
)

// A grant is one line of SHOW GRANTS.
type grant struct {
	privileges []string // in upper case; "ALL PRIVILEGES" is all of them
	database   string   // a pattern of LIKE; "*" is all
	table      string   // "*" is all
	revoked    bool
}

var grantLine = regexp.MustCompile("^(GRANT|REVOKE) (.+?) ON (?:TABLE )?(\\*|`(?:[^`]|``)*`)\\.(\\*|`(?:[^`]|``)*`) (?:TO|FROM) ")

// parseGrants reads the lines of SHOW GRANTS. Those of routines and roles are
// left out, and lines of anything else.
func parseGrants(lines []string) []grant {
	var all []grant
	for _, line := range lines {
		m := grantLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		g := grant{database: unquoteName(m[3]), table: unquoteName(m[4]), revoked: m[1] == "REVOKE"}
		for p := range strings.SplitSeq(columnLists.ReplaceAllString(m[2], "(of columns)"), ",") {
			g.privileges = append(g.privileges, strings.ToUpper(strings.TrimSpace(p)))
		}
		all = append(all, g)
	}
	return all
}

// grantsOf returns what those of the rows say that are of SHOW GRANTS.
func grantsOf(rows [][]string) []grant {
	var lines []string
	for _, row := range rows {
		lines = append(lines, strings.Join(row, "\t"))
	}
	return parseGrants(lines)
}

var columnLists = regexp.MustCompile(`\([^)]*\)`)

func unquoteName(name string) string {
	if name == "*" {
		return name
	}
	return strings.ReplaceAll(strings.Trim(name, "`"), "``", "`")
}

// has reports whether a privilege is held on all tables of a database; "*" is
// all databases.
func has(grants []grant, privilege, database string) bool {
	held := false
	for _, g := range grants {
		if g.table != "*" || !slices.Contains(g.privileges, privilege) && !slices.Contains(g.privileges, "ALL PRIVILEGES") {
			continue
		}
		switch {
		case g.database == "*":
			held = true
		case g.revoked && (database == "*" || matches(g.database, database)):
			return false // MySQL's partial revokes
		case database != "*" && matches(g.database, database):
			held = true
		}
	}
	return held
}

// hasTable reports whether a privilege is held on one table.
func hasTable(grants []grant, privilege, database, table string) bool {
	return has(grants, privilege, database) || slices.ContainsFunc(grants, func(g grant) bool {
		return g.database == database && g.table == table && slices.Contains(g.privileges, privilege)
	})
}

// matches compares a name with a pattern of LIKE.
func matches(pattern, name string) bool {
	var glob strings.Builder
	for n := 0; n < len(pattern); n++ {
		switch c := pattern[n]; {
		case c == '\\' && n+1 < len(pattern):
			n++
			glob.WriteString("\\" + string(pattern[n]))
		case c == '%':
			glob.WriteByte('*')
		case c == '_':
			glob.WriteByte('?')
		case strings.IndexByte(`*?[\`, c) >= 0:
			glob.WriteString("\\" + string(c))
		default:
			glob.WriteByte(c)
		}
	}
	ok, err := path.Match(glob.String(), strings.ReplaceAll(name, "/", "\x01"))
	return ok && err == nil
}

// neededPrivileges are those without which mysqldump leaves things out
// without a word: tables that the account must not read are not listed at
// all, nor are triggers and events.
var neededPrivileges = []string{"SELECT", "SHOW VIEW", "TRIGGER", "EVENT"}

// lacking reports what the account lacks to see everything in databases.
func (t *target) lacking(grants []grant, server *mysqlcli.Server, databases []string) error {
	wanted, names := neededPrivileges, databases
	if len(t.databases) == 0 {
		names = []string{"*"}
	}
	if t.Consistency == byLock && !has(grants, "RELOAD", "*") {
		return t.lack(server, []string{"RELOAD"}, "*", "mysql_consistency is lock, which needs it")
	}
	for _, name := range names {
		var missing []string
		for _, p := range wanted {
			if !has(grants, p, name) {
				missing = append(missing, p)
			}
		}
		if missing != nil {
			return t.lack(server, missing, name, "what it may not see would be missing in the dump without a word")
		}
	}
	if !has(grants, "SHOW_ROUTINE", "*") && !has(grants, "SHOW CREATE ROUTINE", "*") && !has(grants, "SELECT", "*") &&
		!(server.Vendor == mysqlcli.MariaDB && hasTable(grants, "SELECT", "mysql", "proc")) {
		return t.lackRoutines(server)
	}
	return nil
}

func (t *target) lack(server *mysqlcli.Server, privileges []string, database, why string) error {
	list, on, where := strings.Join(privileges, ", "), "*.*", "everything"
	if database != "*" {
		on, where = mysqlcli.QuoteName(database)+".*", "all of the database "+database
	}
	return shield.Errorf(shield.Forbidden, "", "the account %s lacks %s on %s; %s. GRANT %s ON %s TO %s gives it",
		server.Account, list, where, why, list, on, server.Account)
}

func (t *target) lackRoutines(server *mysqlcli.Server) error {
	sql := "GRANT SHOW_ROUTINE ON *.*"
	if server.Vendor == mysqlcli.MariaDB {
		sql = "GRANT SELECT ON mysql.proc"
	}
	return shield.Errorf(shield.Forbidden, "", "the account %s may not see all routines, which would be missing in the dump without a word. %s TO %s allows it",
		server.Account, sql, server.Account)
}
