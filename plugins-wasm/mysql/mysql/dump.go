package mysql

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// A dump is what was learnt of the output of mysqldump or mariadb-dump.
type dump struct {
	vendor   string // "MariaDB" or "MySQL", of the tool
	tool     string // its version
	server   string // version of the server
	complete bool
	database string // of the statements that come
	bytes    int64
	counts   map[string]int64
}

// The comments that a dump has. Those of MariaDB before 10.5, and of MySQL,
// begin with "MySQL dump".
var (
	titleLine    = regexp.MustCompile(`^-- (MariaDB|MySQL) dump \S+ +(?:Distrib|for)? ?([0-9][^ ,]*)`)
	oldTitleLine = regexp.MustCompile(`^-- (MySQL) dump ([0-9]\S*)`)
	serverLine   = regexp.MustCompile(`^-- Server version\s+(\S+)`)
)

// Statements that are counted.
var (
	useStatement   = regexp.MustCompile("(?i)^USE `((?:[^`]|``)*)`")
	createDatabase = regexp.MustCompile(`(?i)^CREATE DATABASE\b`)
	createTable    = regexp.MustCompile(`(?i)^CREATE TABLE\b`)
	createSequence = regexp.MustCompile(`(?i)^CREATE SEQUENCE\b`)
	viewHead       = regexp.MustCompile(`(?is)^/\*!50001 CREATE ALGORITHM`)
	trigger        = regexp.MustCompile(`(?is)^/\*!50003 CREATE.* TRIGGER `)
	routine        = regexp.MustCompile(`(?is)^CREATE (?:DEFINER=\S+ )?(?:AGGREGATE )?(?:PROCEDURE|FUNCTION|PACKAGE) `)
	event          = regexp.MustCompile(`(?is)^/\*!50106 CREATE.* EVENT `)
)

// readDump reads a dump to its end. The error says what is wrong with it; an
// error of r comes through.
func readDump(r io.Reader) (*dump, error) {
	d := &dump{counts: map[string]int64{"databases": 0, "tables": 0, "rows": 0, "views": 0, "routines": 0, "triggers": 0, "events": 0}}
	l := newLexer(r)
	l.onComment, l.onStatement = d.comment, d.statement
	err := l.run()
	d.bytes = l.pos
	switch {
	case err != nil:
		return d, err
	case d.vendor == "":
		return d, errors.New("this is no output of mysqldump: its title is missing")
	case !d.complete:
		return d, fmt.Errorf("it ends too early: the mark %q is missing", completeMark)
	}
	return d, nil
}

// completeMark begins the last line of a dump that ended well.
const completeMark = "-- Dump completed"

func (d *dump) comment(line string) error {
	if strings.HasPrefix(line, completeMark) {
		d.complete = true
		return nil
	}
	if strings.HasPrefix(line, "-- insufficient privileges to ") {
		return errors.New("it lacks something that its account was not allowed to see: " + line[3:])
	}
	if m := titleLine.FindStringSubmatch(line); m != nil && d.vendor == "" {
		d.vendor, d.tool = m[1], m[2]
	} else if m := oldTitleLine.FindStringSubmatch(line); m != nil && d.vendor == "" {
		d.vendor, d.tool = m[1], m[2]
	} else if m := serverLine.FindStringSubmatch(line); m != nil && d.server == "" {
		d.server = m[1]
	}
	if strings.Contains(d.tool, "MariaDB") {
		d.vendor = "MariaDB"
	}
	return nil
}

// statement counts what a dump has. What belongs to the server itself is not
// counted.
func (d *dump) statement(head string, tuples int64) error {
	if d.complete {
		return errors.New("something follows the mark of its end")
	}
	if m := useStatement.FindStringSubmatch(head); m != nil {
		d.database = strings.ReplaceAll(m[1], "``", "`")
		return nil
	}
	if createDatabase.MatchString(head) {
		if !strings.Contains(head, "`mysql`") && !strings.Contains(head, "`sys`") {
			d.counts["databases"]++
		}
		return nil
	}
	if d.database == "mysql" || d.database == "sys" {
		return nil
	}
	d.counts["rows"] += tuples
	if what := kindOf(head); what != "" {
		d.counts[what]++
	}
	return nil
}

func kindOf(head string) string {
	switch {
	case createTable.MatchString(head), createSequence.MatchString(head):
		return "tables"
	case viewHead.MatchString(head):
		return "views"
	case trigger.MatchString(head):
		return "triggers"
	case routine.MatchString(head):
		return "routines"
	case event.MatchString(head):
		return "events"
	}
	return ""
}
