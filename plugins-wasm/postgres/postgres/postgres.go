// Package postgres is shield's plugin for PostgreSQL: one database, several,
// a whole cluster, or its files, dumped and loaded by PostgreSQL's own
// programs. The plugin decides what they do and judges how it went; the bytes
// go from program to archive and back without passing through it.
package postgres

import (
	"encoding/json"

	"github.com/shieldhq/shield/plugin"
)

// Plugin returns the plugin: a target.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Target: openTarget}
}

// programs are those that the plugin runs. It is never written to.
var programs = []string{"psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "pg_verifybackup", "postgres"}

func about() plugin.Info {
	return plugin.Info{
		Name:     "postgres",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "PostgreSQL: one database, several, a whole cluster, or its files",
		Features: plugin.Features{Target: "yes", Store: "no"},
		Fields:   fields(),
		Actions: []plugin.Action{
			plugin.ActionValidate, plugin.ActionTest, plugin.ActionProbe, plugin.ActionInspect,
		},
		Endpoint:     plugin.DeliverFD,
		Capabilities: capabilities(),

		RestoresStopped: map[string]string{"method": physical},
	}
}

func capabilities() json.RawMessage {
	data := []string{"{pg_data_dir}"}
	c := plugin.Capabilities{Read: data, Write: data, Own: data, Exec: programs}
	for _, p := range programs {
		c.Exec = append(c.Exec, "{pg_bindir}/"+p)
	}
	b, _ := json.Marshal(c) // strings always encode
	return b
}

// The values of method and of pg_existing.
const (
	logical  = "logical"
	physical = "physical"
	replace  = "replace"
	refuse   = "fail"
)

func fields() []plugin.Field {
	f := func(name string, t plugin.Type, title, help string) plugin.Field {
		return plugin.Field{Mode: plugin.RoleTarget, Name: name, Type: t, Title: title, Help: help}
	}
	list := []plugin.Field{
		f("pg_host", plugin.TypeString, "Host", "Name or address of the server, or the folder of its socket, which begins with /. Nothing means the usual socket of the machine."),
		f("pg_port", plugin.TypePort, "Port", ""),
		f("pg_user", plugin.TypeString, "Role", "The role to connect as."),
		f("pg_password", plugin.TypePassword, "Password", "Programs get it in their environment."),
		f("pg_database", plugin.TypeString, "Databases", `One database, or several separated by commas; a name may stand in double quotes. Nothing means all of them, with the roles.`),
		f("method", plugin.TypeEnum, "Method", "logical dumps what is in the databases, for any newer server as well; physical copies the files of the whole cluster, for a server of the same major version."),
		f("pg_existing", plugin.TypeEnum, "What exists", "What a restore does with a database that is there and not empty: replace it once the new one is whole, or fail."),
		f("pg_data_dir", plugin.TypeAbsPath, "Data folder", "For method physical: the empty folder that a restore puts the files into."),
		f("pg_read_replica_host", plugin.TypeString, "Host of a replica", "Backups are taken there, restores never go there."),
		f("pg_read_replica_port", plugin.TypePort, "Port of the replica", "pg_port if there is none."),
		f("pg_options", plugin.TypeString, "Options of pg_dump", "Further options, like --exclude-table-data=log. Quotes work as in a shell."),
		f("pg_restore_options", plugin.TypeString, "Options of pg_restore", "For one database: further options, like --no-owner --no-privileges."),
		f("pg_bindir", plugin.TypeAbsPath, "Folder of the programs", "Where psql, pg_dump and the others are, if not in the usual folders."),
		f("pg_sslmode", plugin.TypeEnum, "TLS", "As libpq's sslmode: verify-full compares the certificate of the server with pg_host, verify-ca only its issuer, require encrypts without knowing with whom."),
		f("pg_sslrootcert", plugin.TypePEM, "CA certificates", "Who may have issued the server's certificate."),
		f("pg_sslcert", plugin.TypePEM, "Client certificate", ""),
		f("pg_sslkey", plugin.TypePEM, "Key of the client certificate", ""),
		f("pg_connect_timeout", plugin.TypeDuration, "Time to connect", ""),
	}
	return complete(list)
}

// complete adds what only some fields have.
func complete(list []plugin.Field) []plugin.Field {
	for n := range list {
		f := &list[n]
		switch f.Name {
		case "pg_host":
			f.Example = "db1.example"
		case "pg_port":
			f.Default = "5432"
		case "pg_user":
			f.Required, f.Example = true, "postgres"
		case "pg_database":
			f.Example = "app"
		case "method":
			f.Enum, f.Default = []string{logical, physical}, logical
		case "pg_existing":
			f.Enum, f.Default = []string{replace, refuse}, replace
		case "pg_data_dir":
			f.Example = "/var/lib/postgresql/15/main"
		case "pg_bindir":
			f.Example = "/usr/lib/postgresql/15/bin"
		case "pg_sslmode":
			f.Enum, f.Default = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}, "prefer"
		case "pg_connect_timeout":
			f.Default = "30s"
		}
	}
	return list
}
