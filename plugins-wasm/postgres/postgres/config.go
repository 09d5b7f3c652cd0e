package postgres

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/pg"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// A config is an endpoint, decoded.
type config struct {
	Host           string `json:"pg_host"`
	Port           int    `json:"pg_port"`
	User           string `json:"pg_user"`
	Password       string `json:"pg_password"`
	Database       string `json:"pg_database"`
	Method         string `json:"method"`
	Existing       string `json:"pg_existing"`
	DataDir        string `json:"pg_data_dir"`
	ReplicaHost    string `json:"pg_read_replica_host"`
	ReplicaPort    int    `json:"pg_read_replica_port"`
	Options        string `json:"pg_options"`
	RestoreOptions string `json:"pg_restore_options"`
	Bindir         string `json:"pg_bindir"`
	SSLMode        string `json:"pg_sslmode"`
	RootCert       string `json:"pg_sslrootcert"`
	Cert           string `json:"pg_sslcert"`
	Key            string `json:"pg_sslkey"`
	ConnectTimeout string `json:"pg_connect_timeout"`

	databases             []string
	dumpOpts, restoreOpts []string
}

// check looks at what the fields mean together. Its errors are Invalid.
func (c *config) check() (err error) {
	if c.databases, err = parseNames(c.Database); err != nil {
		return shield.FieldErrorf("endpoint.pg_database", "is %.200q: it %v", c.Database, err)
	}
	if c.dumpOpts, err = tool.CheckOptions("pg_options", c.Options, pg.RefusedDumpOptions...); err != nil {
		return err
	}
	if c.restoreOpts, err = tool.CheckOptions("pg_restore_options", c.RestoreOptions, pg.RefusedRestoreOptions...); err != nil {
		return err
	}
	wrong := func(field, format string, args ...any) error {
		return shield.FieldErrorf("endpoint."+field, format, args...)
	}
	verifies := strings.HasPrefix(c.SSLMode, "verify-")
	switch {
	case c.ReplicaHost == "" && c.ReplicaPort != 0:
		return wrong("pg_read_replica_port", "is %d, but there is no pg_read_replica_host: a replica needs its host", c.ReplicaPort)
	case (c.Cert == "") != (c.Key == ""):
		return wrong("pg_sslcert", "and pg_sslkey belong together: only one of them is there")
	case c.RootCert != "" && !verifies:
		return wrong("pg_sslrootcert", "is there, but pg_sslmode is %s: only verify-ca and verify-full make use of it", c.SSLMode)
	case c.RootCert == "" && verifies:
		return wrong("pg_sslrootcert", "is missing: pg_sslmode %s needs the certificates of who may issue the server's", c.SSLMode)
	case strings.HasPrefix(c.Host, "/") && verifies:
		return wrong("pg_sslmode", "is %s, but pg_host is a socket, which has no TLS: prefer or disable is wanted", c.SSLMode)
	case c.Method == physical && len(c.databases) > 0:
		return wrong("pg_database", "is %q, but method physical copies the whole cluster: leave it out", c.Database)
	case c.Method == physical && c.Options != "":
		return wrong("pg_options", "is for pg_dump, which method physical does not run: leave it out")
	case c.Method == logical && c.DataDir != "":
		return wrong("pg_data_dir", "is for method physical: leave it out, or choose that method")
	case c.RestoreOptions != "" && len(c.databases) != 1:
		return wrong("pg_restore_options", "is for one database, but pg_database names %d: leave it out", len(c.databases))
	}
	return nil
}

// parseNames splits a list of names at commas. A name in double quotes may
// have any character, a quote as two.
func parseNames(text string) ([]string, error) {
	var names []string
	for rest := strings.TrimSpace(text); rest != ""; {
		var name string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			end := closingQuote(quoted)
			if end < 0 {
				return nil, fmt.Errorf("has a quote that is not closed")
			}
			name, rest = strings.ReplaceAll(quoted[:end], `""`, `"`), strings.TrimSpace(quoted[end+1:])
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("has something between a quoted name and the next comma")
			}
			rest = strings.TrimPrefix(rest, ",")
		} else {
			name, rest, _ = strings.Cut(rest, ",")
			name = strings.TrimSpace(name)
		}
		switch {
		case name == "":
			return nil, fmt.Errorf("has an empty name")
		case len(name) > 63:
			return nil, fmt.Errorf("has a name of more than 63 bytes")
		}
		names, rest = append(names, name), strings.TrimSpace(rest)
	}
	return names, nil
}

func closingQuote(s string) int {
	for n := 0; n < len(s); n++ {
		if s[n] != '"' {
			continue
		}
		if n+1 < len(s) && s[n+1] == '"' {
			n++
			continue
		}
		return n
	}
	return -1
}

// environment returns what programs are told of the connection. Nothing of it
// is on a command line.
func (c *config) environment(host string, port int) (env []string, files map[string]string) {
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set("PGHOST", host)
	set("PGPORT", strconv.Itoa(port))
	set("PGUSER", c.User)
	set("PGPASSWORD", c.Password)
	set("PGSSLMODE", c.SSLMode)
	if d, err := time.ParseDuration(c.ConnectTimeout); err == nil && d > 0 {
		set("PGCONNECT_TIMEOUT", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	}
	files = map[string]string{}
	for _, f := range []struct{ variable, name, content string }{
		{"PGSSLROOTCERT", "ca.pem", c.RootCert}, {"PGSSLCERT", "cert.pem", c.Cert}, {"PGSSLKEY", "key.pem", c.Key},
	} {
		if f.content != "" {
			files[f.name] = f.content
			set(f.variable, "./"+f.name)
		}
	}
	return env, files
}
