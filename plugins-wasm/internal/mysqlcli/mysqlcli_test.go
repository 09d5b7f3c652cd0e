package mysqlcli

import (
	"reflect"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

func TestParseProgram(t *testing.T) {
	for text, want := range map[string]string{
		"mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)":                  "t 10.11.19 (MariaDB)",
		"mariadb from 11.4.2-MariaDB, client 15.2 for Linux (x86_64)":                                      "t 11.4.2 (MariaDB)",
		"mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)":                                          "t 5.7.44 (MySQL)",
		"mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)":                         "t 8.0.36 (MySQL)",
		"mariabackup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)":                   "t 10.11.19 (MariaDB)",
		"xtrabackup version 8.0.35-31 based on MySQL server 8.0.35 Linux (x86_64) (revision id: 55ec21d7)": "t 8.0.35 (MySQL)",
		"hello": "t  (MySQL)",
	} {
		if got := ParseProgram("t", text).String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"10.11.19-MariaDB-0+deb12u1-log": "MariaDB 10.11.19",
		"5.5.5-10.6.1-MariaDB":           "MariaDB 10.6.1",
		"8.0.36":                         "MySQL 8.0.36",
		"8.0.36-28.1-log":                "MySQL 8.0.36",
	} {
		if got := ParseServer(text).String(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseRows(t *testing.T) {
	got := ParseRows("a\tb\\tc\\n\n\\\\n\t\n")
	if want := [][]string{{"a", "b\tc\n"}, {`\n`, ""}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

func TestDialect(t *testing.T) {
	d := Dialect()
	for line, want := range map[string]shield.Code{
		"ERROR 1045 (28000): Access denied for user 'u'@'h' (using password: YES)":              shield.Unauthorized,
		`mariadb-dump: Got error: 1045: "Access denied"`:                                        shield.Unauthorized,
		"ERROR 1142 (42000) at line 3: SELECT command denied to user":                           shield.Forbidden,
		"mysqldump: u has insufficent privileges to SHOW CREATE PROCEDURE `p`!":                 shield.Forbidden,
		"ERROR 2002 (HY000): Can't connect to local server through socket '/s' (2)":             shield.Unavailable,
		"mysqldump: Error 2013: Lost connection to server during query when dumping table `t`":  shield.Unavailable,
		"mysqldump: Couldn't execute 'SHOW CREATE TABLE `x`': Table 'a.x' doesn't exist (1146)": shield.TargetFailed,
		"ERROR 1114 (HY000) at line 27: The table 't' is full":                                  shield.TargetFailed,
		"ERROR 1049 (42000): Unknown database 'x'":                                              shield.NotFound,
	} {
		if got := d.Classify([]string{line}); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
		if !d.Complaint(line) && !strings.Contains(line, "1049") && !strings.Contains(line, "1146") {
			t.Errorf("%q is no complaint", line)
		}
	}
	for _, line := range []string{
		"mysqldump: [Warning] Using a password on the command line interface can be insecure.",
		"-- Warning: Skipping the data of table mysql.event. Specify the --events option explicitly.",
		"2026-01-01  0:00:00 0 [Note] InnoDB: Completed initialization of buffer pool",
		"[00] 2026-01-01 00:00:00 completed OK!",
	} {
		if d.Complaint(line) {
			t.Errorf("%q is a complaint", line)
		}
	}
}

func TestQuotes(t *testing.T) {
	if got := QuoteName("a`b"); got != "`a``b`" {
		t.Error(got)
	}
	if got := QuoteText(`a'b\c`); got != `'a''b\\c'` {
		t.Error(got)
	}
	if got := QuoteAccount("u@x@%"); got != "'u@x'@'%'" {
		t.Error(got)
	}
}
