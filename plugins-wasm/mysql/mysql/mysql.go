// Package mysql backs up and restores databases of MySQL and MariaDB with the
// tools that come with the servers: mysqldump or mariadb-dump, and the client.
package mysql

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/mysqlcli"
	"github.com/shieldhq/shield/plugins-wasm/internal/tool"
)

// version is that of the plugin.
const version = "1.0.0"

// Plugin returns the plugin.
func Plugin() *plugin.Native {
	return &plugin.Native{
		About: plugin.Info{
			Name: "mysql", Author: "the shield authors", Version: version,
			Summary:  "Databases of MySQL and MariaDB, by mysqldump or mariadb-dump.",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields:   append(mysqlcli.Fields(), fields...),
			Actions:  []plugin.Action{plugin.ActionTest, plugin.ActionValidate, plugin.ActionProbe, plugin.ActionInspect},
			Endpoint: plugin.DeliverFD,
			Capabilities: json.RawMessage(`{"exec":["mariadb-dump","mysqldump","mariadb","mysql",` +
				`"{mysql_bindir}/mariadb-dump","{mysql_bindir}/mysqldump","{mysql_bindir}/mariadb","{mysql_bindir}/mysql"]}`),
		},
		Target: open,
	}
}

// The ways of making a dump consistent.
const (
	byTransaction = "transaction"
	byLock        = "lock"
)

// What is done with databases that a restore finds there already.
const (
	existingReplace = "replace"
	existingDrop    = "drop"
	existingRefuse  = "refuse"
)

// fields are those beyond the connection's. It is never written to.
var fields = []plugin.Field{
	{Mode: plugin.RoleTarget, Name: "mysql_database", Type: plugin.TypeString, Title: "Databases", Example: "shop, blog",
		Help: "One database, or several with commas between. Without it everything is backed up, accounts included."},
	{Mode: plugin.RoleTarget, Name: "mysql_options", Type: plugin.TypeString, Title: "Options of mysqldump", Example: "--ignore-table=shop.sessions",
		Help: "Further options of mysqldump, as a shell would take them."},
	{Mode: plugin.RoleTarget, Name: "mysql_consistency", Type: plugin.TypeEnum, Title: "Consistency", Default: byTransaction, Enum: []string{byTransaction, byLock},
		Help: "transaction reads InnoDB at one point in time and holds up nobody; lock stops all writers, for tables of other engines."},
	{Mode: plugin.RoleTarget, Name: "mysql_read_replica", Type: plugin.TypeString, Title: "Read replica", Example: "db2:3306",
		Help: "Back up from this replica, host or host:port, after a check that it follows. A restore goes to the host always."},
	{Mode: plugin.RoleTarget, Name: "mysql_max_lag", Type: plugin.TypeDuration, Title: "Greatest lag of the replica", Default: "5m",
		Help: "A replica that is further behind is refused."},
	{Mode: plugin.RoleTarget, Name: "mysql_existing", Type: plugin.TypeEnum, Title: "Databases that exist", Default: existingReplace,
		Enum: []string{existingReplace, existingDrop, existingRefuse},
		Help: "What a restore does with databases that are there: replace the tables that the archive has and leave others, drop the databases first, or refuse."},
	{Mode: plugin.RoleTarget, Name: "mysql_binlog", Type: plugin.TypeBool, Title: "Write restores to the binary log",
		Help: "So that replicas get what is restored. Otherwise the binary log is off for a restore, where the account may do that."},
	{Mode: plugin.RoleTarget, Name: "mysql_any_version", Type: plugin.TypeBool, Title: "Ignore versions",
		Help: "Go on although the versions of archive, tools and server do not fit together."},
}

// An endpoint is what configures a target.
type endpoint struct {
	mysqlcli.Connection
	Database    string `json:"mysql_database"`
	Options     string `json:"mysql_options"`
	Consistency string `json:"mysql_consistency"`
	Replica     string `json:"mysql_read_replica"`
	MaxLag      string `json:"mysql_max_lag"`
	Existing    string `json:"mysql_existing"`
	Binlog      bool   `json:"mysql_binlog"`
	AnyVersion  bool   `json:"mysql_any_version"`
}

// A target is one server, or some of its databases.
type target struct {
	endpoint
	log       plugin.Log
	client    *mysqlcli.Client // of the host
	databases []string         // none for all
	options   []string
	maxLag    time.Duration
}

var (
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
)

// refused are the options of mysqldump that are not an operator's to set:
// where to connect, where to write, and what the marks of a whole dump go by.
var refused = []string{
	"--host", "--port", "--socket", "--user", "--password", "--protocol", "-h", "-P", "-S", "-u", "-p",
	"--defaults-file", "--defaults-extra-file", "--no-defaults", "--login-path", "--print-defaults",
	"--result-file", "-r", "--tab", "-T", "--xml", "-X", "--force", "--compact", "--skip-comments", "--comments", "--log-error",
	"--databases", "-B", "--all-databases", "-A", "--tables", "--no-create-db", "-n", "--delimiter",
}

func open(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t := &target{log: log}
	info := Plugin().About
	err := info.Decode(plugin.RoleTarget, e, &t.endpoint)
	if err != nil {
		return nil, err
	}
	if err := t.Connection.Validate(); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(t.Database, ",") {
		if name = strings.TrimSpace(name); name != "" {
			t.databases = append(t.databases, name)
		}
	}
	if t.options, err = tool.CheckOptions("mysql_options", t.Options, refused...); err != nil {
		return nil, err
	}
	if t.Socket != "" && t.Replica != "" {
		return nil, shield.FieldErrorf("endpoint.mysql_read_replica", "does not go with mysql_socket: a replica is reached by network")
	}
	if _, err := t.replica(); err != nil {
		return nil, err
	}
	t.maxLag, err = time.ParseDuration(t.MaxLag)
	t.client = mysqlcli.NewClient(t.Connection, log)
	return t, err
}

// replica returns how to reach the read replica.
func (t *target) replica() (mysqlcli.Connection, error) {
	c := t.Connection
	if t.Replica == "" {
		return c, nil
	}
	c.Host = t.Replica
	if host, port, err := net.SplitHostPort(t.Replica); err == nil {
		c.Host = host
		if c.Port, err = strconv.Atoi(port); err != nil || c.Port < 1 || c.Port > 65535 {
			return c, shield.FieldErrorf("endpoint.mysql_read_replica", "is %q: the port has to be 1 to 65535", t.Replica)
		}
	} else if strings.Count(t.Replica, ":") == 1 {
		return c, shield.FieldErrorf("endpoint.mysql_read_replica", "is %q: host or host:port is wanted", t.Replica)
	}
	return c, nil
}

// Validate implements plugin.Validator. Opening has checked everything.
func (t *target) Validate(context.Context) error { return nil }

// Inspect implements plugin.Inspector.
func (t *target) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	var d *dump
	err := tool.Inspect(ctx, r, "the dump", func(r io.Reader) (err error) {
		d, err = readDump(r)
		return err
	})
	if err != nil {
		return plugin.Probe{}, err
	}
	return plugin.Probe{Counts: d.counts, Versions: map[string]string{
		"server": mysqlcli.ParseServer(d.server).String(), "tool": d.vendor + " " + strings.TrimSuffix(d.tool, "-MariaDB"),
	}}, nil
}
