package xtrabackup

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
)

// The files that the tools add last, with what they know of a backup.
var infoNames = []string{"xtrabackup_info", "mariadb_backup_info"}

func isInfo(name string) bool { return slices.Contains(infoNames, name) }

// complete reports what a backup lacks whose stream is whole.
func (s *stream) complete() error {
	if !slices.ContainsFunc(infoNames, func(name string) bool { _, ok := s.done[name]; return ok }) {
		return errors.New("it lacks xtrabackup_info, which the tool writes last")
	}
	if _, ok := s.done["ibdata1"]; !ok && !s.hasSuffix(".ibd") {
		return errors.New("it has no tablespace of InnoDB")
	}
	return nil
}

func (s *stream) hasSuffix(suffix string) bool {
	for name := range s.done {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// ofServer are the folders of databases that belong to the server.
var ofServer = []string{"mysql", "performance_schema", "sys", "information_schema"}

// probe says what the stream holds. A table is a definition, or, where MySQL
// keeps definitions elsewhere, a tablespace.
func (s *stream) probe() plugin.Probe {
	c := map[string]int64{"files": int64(len(s.done)), "bytes": 0, "databases": 0, "tables": 0}
	definition := ".ibd"
	if s.hasSuffix(".frm") {
		definition = ".frm"
	}
	databases := map[string]bool{}
	for name, size := range s.done {
		c["bytes"] += size
		dir, file := path.Split(name)
		if dir == "" || slices.Contains(ofServer, strings.TrimSuffix(dir, "/")) || strings.HasPrefix(dir, "#") {
			continue
		}
		databases[dir] = true
		if strings.HasSuffix(file, definition) {
			c["tables"]++
		}
	}
	c["databases"] = int64(len(databases))
	p := plugin.Probe{Counts: c, Versions: map[string]string{}}
	for _, name := range infoNames {
		s.versions(p.Versions, string(s.kept[name]))
	}
	return p
}

// versions reads the lines "name = value" of the tool.
func (s *stream) versions(to map[string]string, info string) {
	name := ""
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch key {
		case "tool_name":
			name = value
		case "tool_version":
			to["tool"] = name + " " + strings.TrimSuffix(value, "-MariaDB")
		case "server_version":
			to["server"] = mysqlcli.ParseServer(value).String()
		}
	}
}
