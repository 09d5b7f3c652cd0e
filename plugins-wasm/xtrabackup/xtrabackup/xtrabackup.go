// Package xtrabackup backs up the data folder of a MySQL or MariaDB server
// that runs, as of one point in time, with xtrabackup or mariabackup, and
// restores it into an empty one.
package xtrabackup

import (
	"context"
	"encoding/json"
	"io"
	"path"
	"slices"
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
			Name: "xtrabackup", Author: "the shield authors", Version: version,
			Summary:      "Data folders of MySQL and MariaDB, by xtrabackup or mariabackup while the server runs.",
			Features:     plugin.Features{Target: "yes", Store: "no"},
			Fields:       allFields(),
			Actions:      []plugin.Action{plugin.ActionTest, plugin.ActionValidate, plugin.ActionProbe, plugin.ActionInspect},
			Endpoint:     plugin.DeliverFD,
			Capabilities: capabilities(),

			RestoresStopped: map[string]string{}, // always
		},
		Target: open,
	}
}

// programs are what the plugin runs, in the folder of the tools or the usual
// ones.
var programs = []string{"mariabackup", "mariadb-backup", "xtrabackup", "mbstream", "xbstream", "mariadb", "mysql"}

// startCommand is what the grant maps to the program that starts the server.
const startCommand = "mysql-start"

func capabilities() json.RawMessage {
	c := plugin.Capabilities{Write: []string{"{mysql_datadir}"}, Exec: append(slices.Clone(programs), "chown", startCommand)}
	for _, name := range programs {
		c.Exec = append(c.Exec, "{mysql_bindir}/"+name)
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // of a constant
	}
	return b
}

// allFields are those of the connection, the original plugin's, and ours.
func allFields() []plugin.Field {
	fields := slices.Clone(mysqlcli.Fields())
	for n := range fields {
		if fields[n].Name == "mysql_host" {
			fields[n].Help = "Name or address of the server on this machine. Not used with a socket."
		}
	}
	return append(fields,
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_datadir", Type: plugin.TypeAbsPath, Title: "Data folder", Default: "/var/lib/mysql",
			Help: "The server's data folder, on the machine where the plugin runs. A restore wants it empty."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_databases", Type: plugin.TypeString, Title: "Databases", Example: "shop blog",
			Help: "Only these databases, with spaces or commas between, and those of the server itself. Without it everything is backed up."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_xtrabackup", Type: plugin.TypeString, Title: "Tool", Example: "mariabackup",
			Help: "xtrabackup or mariabackup. Without it the one that fits the server is taken. May have the path of the tool, whose folder then is mysql_bindir."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_options", Type: plugin.TypeString, Title: "Options of the tool", Example: "--parallel=2",
			Help: "Further options of the backup, as a shell would take them."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_defaults_file", Type: plugin.TypeAbsPath, Title: "Configuration of the server", Example: "/etc/mysql/my.cnf",
			Help: "The server's option file, for those that keep parts of InnoDB elsewhere."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_owner", Type: plugin.TypeString, Title: "Owner", Example: "mysql:mysql",
			Help: "Who owns the restored files. Without it, whoever owns the data folder."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_start", Type: plugin.TypeBool, Title: "Start the server",
			Help: "Run the granted command mysql-start after a restore, and wait until the server answers."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_start_timeout", Type: plugin.TypeDuration, Title: "Time to start", Default: "5m",
			Help: "How long the server may take to answer after mysql-start."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_any_version", Type: plugin.TypeBool, Title: "Ignore versions",
			Help: "Restore although the tool is of another series than the server that was backed up."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_tar", Type: plugin.TypeString, Title: "tar", Help: "Not used: the tool streams by itself. Taken so that old configurations can stay."},
		plugin.Field{Mode: plugin.RoleTarget, Name: "mysql_temp_targetdir", Type: plugin.TypeAbsPath, Title: "Temporary folder", Help: "Not used: nothing is put down on the way. Taken so that old configurations can stay."},
	)
}

// An endpoint is what configures a target.
type endpoint struct {
	mysqlcli.Connection
	DataDir      string `json:"mysql_datadir"`
	Databases    string `json:"mysql_databases"`
	Tool         string `json:"mysql_xtrabackup"`
	Options      string `json:"mysql_options"`
	DefaultsFile string `json:"mysql_defaults_file"`
	Owner        string `json:"mysql_owner"`
	Start        bool   `json:"mysql_start"`
	StartTimeout string `json:"mysql_start_timeout"`
	AnyVersion   bool   `json:"mysql_any_version"`
}

// A target is the data folder of one server.
type target struct {
	endpoint
	log       plugin.Log
	client    *mysqlcli.Client
	databases []string // none for all
	options   []string
	moved     []string // by a restore, to the data folder

	startTimeout time.Duration
}

var (
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
)

// refused are options of the tool that are not an operator's to set: what it
// does, where it connects and where it writes. Compressed and encrypted
// streams need more than the tool to be restored, and shield does both.
var refused = []string{
	"--backup", "--prepare", "--copy-back", "--move-back", "--stream", "--target-dir", "--datadir", "--databases",
	"--host", "--port", "--socket", "--user", "--password", "--defaults-file", "--defaults-extra-file", "--no-defaults",
	"--incremental-lsn", "--incremental-basedir", "--compress", "--encrypt", "--force-non-empty-directories", "--export",
	"-h", "-P", "-S", "-u", "-p",
}

func open(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t := &target{log: log}
	info := Plugin().About
	if err := info.Decode(plugin.RoleTarget, e, &t.endpoint); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	t.client = mysqlcli.NewClient(t.Connection, log)
	return t, nil
}

func (t *target) check() (err error) {
	if err := t.Connection.Validate(); err != nil {
		return err
	}
	if t.DataDir == "/" {
		return shield.FieldErrorf("endpoint.mysql_datadir", "is /: the server's data folder is wanted")
	}
	if dir := path.Dir(t.Tool); t.Tool != "" && dir != "." {
		if dir != t.BinDir {
			return shield.FieldErrorf("endpoint.mysql_xtrabackup", "is %q: name the tool alone, and its folder, %s, in mysql_bindir", t.Tool, dir)
		}
		t.Tool = path.Base(t.Tool)
	}
	if t.Tool != "" && !slices.Contains(programs[:3], t.Tool) {
		return shield.FieldErrorf("endpoint.mysql_xtrabackup", "is %q: one of %s is wanted", t.Tool, strings.Join(programs[:3], ", "))
	}
	t.databases = strings.FieldsFunc(t.Databases, func(r rune) bool { return r == ',' || r == ' ' })
	if strings.HasPrefix(t.Owner, "-") || strings.ContainsAny(t.Owner, " \t\n/") {
		return shield.FieldErrorf("endpoint.mysql_owner", "is %q: user:group is wanted", t.Owner)
	}
	if t.startTimeout, err = time.ParseDuration(t.StartTimeout); err != nil {
		return err
	}
	t.options, err = tool.CheckOptions("mysql_options", t.Options, refused...)
	return err
}

// Validate implements plugin.Validator. Opening has checked everything.
func (t *target) Validate(context.Context) error { return nil }

// find finds the tool that backs up a server, or one that prepares what such
// a tool has made.
func (t *target) find(ctx context.Context, v mysqlcli.Vendor) (mysqlcli.Program, error) {
	switch {
	case t.Tool != "":
		return t.client.Find(ctx, t.Tool)
	case v == mysqlcli.MariaDB:
		return t.client.Find(ctx, "mariabackup", "mariadb-backup")
	}
	return t.client.Find(ctx, "xtrabackup")
}

// sameSeries reports whether a tool and a server are made for each other.
func sameSeries(p mysqlcli.Program, s *mysqlcli.Server) bool {
	return p.Vendor == s.Vendor && p.Version.Major == s.Version.Major && p.Version.Minor == s.Version.Minor
}

// Inspect implements plugin.Inspector.
func (t *target) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	var s *stream
	err := tool.Inspect(ctx, r, "the stream", func(r io.Reader) (err error) {
		if s, err = readStream(r, isInfo); err == nil {
			err = s.complete()
		}
		return err
	})
	if err != nil {
		return plugin.Probe{}, err
	}
	return s.probe(), nil
}
