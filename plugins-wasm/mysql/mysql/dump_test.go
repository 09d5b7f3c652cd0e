package mysql

import (
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
)

const (
	title = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n--\n-- Host: x\n-- Server version\t10.11.19-MariaDB-log\n\n"
	mark  = "\n-- Dump completed\n"
)

func TestReadDump(t *testing.T) {
	for _, c := range []struct {
		name, dump, fault string
		counts            map[string]int64
	}{
		{"empty of a server", title + mark, "", nil},
		{"of MySQL 8", "-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n-- Server version\t8.0.36\n" + mark, "", nil},
		{"of MySQL 8.4", "-- MySQL dump 8.4.0  Distrib 8.4.0\n" + mark, "", nil},
		{"of the original plugin", "SET SESSION SQL_LOG_BIN=0;\n" + title + mark, "", nil},
		{"tables and rows", title + "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a`;\nUSE `a`;\nCREATE TABLE `t` (\n  `id` int(11) DEFAULT 5 COMMENT 'x(;',\n  PRIMARY KEY (`id`)\n);\nINSERT INTO `t` VALUES (1,'a(b);\\'('),\n(2,'--x\n-- y'),(3,0x28);\n" + mark, "",
			map[string]int64{"databases": 1, "tables": 1, "rows": 3}},
		{"named columns", title + "INSERT INTO `t` (`a`, `b`) VALUES (1,2),(3,POINT(1,2));\nREPLACE INTO `t` VALUES (4);" + mark, "", map[string]int64{"rows": 3}},
		{"of the server", title + "USE `mysql`;\nCREATE TABLE `db` (`x` int);\nINSERT INTO `db` VALUES (1);" + mark, "", map[string]int64{"tables": 0, "rows": 0}},
		{"a trigger", title + "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`r`@`l`*/ /*!50003 TRIGGER `x` AFTER INSERT ON `t` FOR EACH ROW BEGIN INSERT INTO l VALUES (';'); /* in; */ END */;;\nDELIMITER ;\n" + mark, "", map[string]int64{"triggers": 1, "rows": 0}},
		{"a procedure", title + "DELIMITER ;;\nCREATE DEFINER=`r`@`l` PROCEDURE `p`()\nBEGIN SELECT 1; # '\n SELECT 2 -- \"\n; END ;;\nDELIMITER ;\n" + mark, "", map[string]int64{"routines": 1}},
		{"an operator of minus", title + "SELECT 1--1, 5 - -2;" + mark, "", nil},
		{"without a mark", title, "mark", nil},
		{"without a title", mark, "title", nil},
		{"nothing", "", "title", nil},
		{"in a string", title + "INSERT INTO `t` VALUES ('a" + mark, "in text in ' quotes", nil},
		{"in a statement", title + "INSERT INTO `t` VALUES (1)" + mark, "within a statement", nil},
		{"in a comment", title + "/* a" + mark, "within a comment", nil},
		{"after the mark", title + mark + "DROP TABLE x;", "follows the mark", nil},
		{"parentheses", title + "INSERT INTO `t` VALUES (1;" + mark, "do not match", nil},
		{"what it may not see", title + "\n-- insufficient privileges to SHOW CREATE PROCEDURE `p`\n" + mark, "not allowed to see", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := readDump(strings.NewReader(c.dump))
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Fatalf("got %v, want %q", err, c.fault)
			}
			for what, n := range c.counts {
				if d.counts[what] != n {
					t.Errorf("%d %s, want %d", d.counts[what], what, n)
				}
			}
			if n := newLexer(one{strings.NewReader(c.dump)}); c.fault == "" && n.run() != nil {
				t.Error("it depends on how much comes at once")
			}
		})
	}
}

// A one gives a byte at a time.
type one struct{ r *strings.Reader }

func (o one) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

func TestReadHead(t *testing.T) {
	n := note{Plugin: "1.0.0", Server: "10.11.19-MariaDB", Tool: "t", Databases: []string{"a b", "ü\n"}, Tables: 3}
	line, err := n.line()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, archive, server, rest, fault string }{
		{"ours", string(line) + "rest", "10.11.19-MariaDB", "rest", ""},
		{"of the tool", title + "rest", "10.11.19-MariaDB-log", "\nrest", ""},
		{"of the original plugin", "SET SESSION SQL_LOG_BIN=0;\n" + title, "10.11.19-MariaDB-log", "\n", ""},
		{"empty", "", "", "", "ends before"},
		{"SQL", "DROP TABLE x;\n", "", "", "does not begin"},
		{"comments", strings.Repeat("-- x\n", 20), "", "", "do not say"},
		{"a long line", strings.Repeat("x", headRoom+10), "", "", "too long"},
		{"a damaged note", notePrefix + "{\n", "", "", "damaged"},
	} {
		r := strings.NewReader(c.archive)
		got, err := readHead(r)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: got %v, want %s", c.name, err, c.fault)
			}
			continue
		}
		if err != nil || got.Server != c.server || c.archive[len(c.archive)-r.Len():] != c.rest {
			t.Errorf("%s: %+v, %v, %d left", c.name, got, err, r.Len())
		}
	}
}

func TestGrants(t *testing.T) {
	g := parseGrants([]string{
		"GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*X'",
		"GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `app\\_%`.* TO `u`@`%`",
		"GRANT SELECT (`id`), INSERT (`id`, `v`) ON `columns`.`t` TO `u`@`%`",
		"GRANT SELECT ON `tables`.`t` TO `u`@`%`",
		"GRANT ALL PRIVILEGES ON `a``b`.* TO `u`@`%` WITH GRANT OPTION",
		"GRANT EXECUTE ON PROCEDURE `x`.`p` TO `u`@`%`",
		"GRANT `r` TO `u`@`%`",
	})
	for _, c := range []struct {
		privilege, database string
		want                bool
	}{
		{"SELECT", "app_1", true}, {"SELECT", "app_", true}, {"SELECT", "app1", false}, {"EVENT", "app_1", true}, {"RELOAD", "app_1", false},
		{"SELECT", "columns", false}, {"SELECT", "tables", false}, {"EVENT", "a`b", true}, {"SELECT", "*", false}, {"EXECUTE", "x", false},
	} {
		if got := has(g, c.privilege, c.database); got != c.want {
			t.Errorf("%s on %s: %v", c.privilege, c.database, got)
		}
	}
	if !hasTable(g, "SELECT", "tables", "t") || hasTable(g, "SELECT", "tables", "u") || hasTable(g, "SELECT", "columns", "t") {
		t.Error("privileges on tables")
	}
	partial := parseGrants([]string{"GRANT SELECT ON *.* TO `u`@`%`", "REVOKE SELECT ON `secret`.* FROM `u`@`%`"})
	if has(partial, "SELECT", "secret") || !has(partial, "SELECT", "other") || has(partial, "SELECT", "*") {
		t.Error("partial revokes")
	}
}

func TestReplicaStatus(t *testing.T) {
	x := &target{}
	x.Replica, x.maxLag = "db2", 60e9
	good := "Slave_IO_Running: Yes\nSlave_SQL_Running: Yes\nSeconds_Behind_Master: 5\n"
	for _, c := range []struct{ status, fault string }{
		{good, ""},
		{strings.NewReplacer("Slave", "Replica", "Master", "Source").Replace(good), ""},
		{"", "no replica of another"},
		{strings.Replace(good, "SQL_Running: Yes", "SQL_Running: No\nLast_SQL_Error: duplicate", 1), "stands still.*duplicate"},
		{strings.Replace(good, "IO_Running: Yes", "IO_Running: Connecting", 1), "Connecting"},
		{strings.Replace(good, ": 5", ": 61", 1), "1m1s behind"},
		{strings.Replace(good, ": 5", ": NULL", 1), "how far"},
	} {
		err := x.judgeReplica(statusOf(mysqlcli.ParseRows(c.status)))
		first, _, _ := strings.Cut(c.fault, ".*")
		if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), first)) {
			t.Errorf("%q: %v", c.status, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct{ endpoint, field, text string }{
		{`{}`, "mysql_user", "is missing"},
		{`{"mysql_user": "u", "mysql_tls": "verify-full"}`, "mysql_tls_ca", "is missing"},
		{`{"mysql_user": "u", "mysql_host": "a b"}`, "mysql_host", "a name or an address"},
		{`{"mysql_user": "u", "mysql_options": "--pass=x"}`, "mysql_options", "--password"},
		{`{"mysql_user": "u", "mysql_options": "--force"}`, "mysql_options", "--force"},
		{`{"mysql_user": "u", "mysql_options": "'x"}`, "mysql_options", "quotes"},
		{`{"mysql_user": "u", "mysql_read_replica": "db2:x"}`, "mysql_read_replica", "port"},
		{`{"mysql_user": "u", "mysql_read_replica": "db2", "mysql_socket": "/s"}`, "mysql_read_replica", "by network"},
		{`{"mysql_user": "u", "mysql_existing": "keep"}`, "mysql_existing", "one of"},
	} {
		_, err := open(shield.Endpoint(c.endpoint), nil)
		if err == nil || !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), c.text) || shield.CodeOf(err) != shield.Invalid {
			t.Errorf("%s: %v", c.endpoint, err)
		}
	}
	// The fields that the original plugin had.
	const original = `{"mysql_host": "h", "mysql_port": "3307", "mysql_user": "u", "mysql_password": "p", "mysql_database": "d",
		"mysql_options": "--hex-blob", "mysql_read_replica": "r", "mysql_bindir": "/var/vcap/packages/shield-mysql/bin"}`
	if _, err := open(shield.Endpoint(original), nil); err != nil {
		t.Error(err)
	}
}

func FuzzReadDump(f *testing.F) {
	f.Add(title + "DELIMITER ;;\nCREATE x('\\'(') /*! a */;;\nDELIMITER ;\nINSERT INTO t VALUES (1),(2);" + mark)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := readDump(strings.NewReader(text))
		small, other := &dump{counts: map[string]int64{}}, newLexer(one{strings.NewReader(text)})
		other.onComment, other.onStatement = small.comment, small.statement
		again := other.run()
		if err == nil && (again != nil || d.counts["rows"] != small.counts["rows"]) {
			t.Errorf("a byte at a time: %v, %v; at once %v", again, small.counts, d.counts)
		}
		_, _ = readHead(strings.NewReader(text)) // must not panic
	})
}
