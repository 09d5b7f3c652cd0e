// Package sftp is shield's plugin for SFTP servers: a folder of one as a store,
// an archive a file. A file appears under its name only when it is whole, and
// no server is believed whose host key is not known.
package sftp

import (
	"encoding/json"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Plugin returns the plugin: a store.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Store: openStore}
}

func about() plugin.Info {
	return plugin.Info{
		Name:         "sftp",
		Author:       "The shield authors",
		Version:      "1.0.0",
		Summary:      "a folder of an SFTP server as a store",
		Features:     plugin.Features{Target: "no", Store: "yes"},
		Fields:       fields(),
		Actions:      []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint:     plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"tcp":["{host}:{port}"],"memory":"64MiB"}`),
		Naming:       true,
	}
}

func fields() []plugin.Field {
	f := []plugin.Field{
		{
			Name: "host", Type: plugin.TypeString, Required: true, Title: "Host", Example: "backup.example.com",
			Help: "Name or address of the server.",
		},
		{Name: "port", Type: plugin.TypePort, Default: "22", Title: "Port"},
		{Name: "user", Type: plugin.TypeString, Required: true, Title: "User", Example: "shield"},
		{
			Name: "password", Type: plugin.TypePassword, Title: "Password",
			Help: "Also the answer to a server that asks for it by keyboard-interactive. A password or a private key is needed.",
		},
		{
			Name: "private_key", Type: plugin.TypePEM, Title: "Private key",
			Help: "The text of a private key, as ssh-keygen writes it.",
		},
		{
			Name: "private_key_file", Type: plugin.TypeAbsPath, Title: "Private key file", Example: "/etc/shield/id_ed25519",
			Help: "In place of private_key: a file on the host that runs the plugin.",
		},
		{Name: "passphrase", Type: plugin.TypePassword, Title: "Passphrase", Help: "Of the private key, if it has one."},
		{
			Name: "host_key", Type: plugin.TypeText, Title: "Host key", Example: "SHA256:zdKrK...",
			Help: "What the server is known by: a fingerprint (SHA256:...), a public key (ssh-ed25519 AAAA...), or lines of a known_hosts file; one a line. It or known_hosts_file is needed.",
		},
		{
			Name: "known_hosts_file", Type: plugin.TypeAbsPath, Title: "Known hosts file", Example: "/etc/ssh/ssh_known_hosts",
			Help: "In place of host_key: a file on the host that runs the plugin.",
		},
		{
			Name: "base_dir", Type: plugin.TypeString, Default: ".", Title: "Base directory", Example: "/srv/backups",
			Help: "The folder that holds the archives; it must exist. One that does not begin with / is in the folder that the user is in after login.",
		},
		{
			Name: "prefix", Type: plugin.TypeString, Title: "Prefix", Example: "shield/production",
			Help: "A path in the base directory, below which the archives are. It is made if it is not there.",
		},
		{
			Name: "retries", Type: plugin.TypeInteger, Default: "5", Title: "Retries",
			Help: "How often a connection that could not be made, or that broke while reading, is tried again.",
		},
		{
			Name: "connect_timeout", Type: plugin.TypeDuration, Default: "30s", Title: "Connect timeout",
			Help: "How long connecting and logging in may take.",
		},
		{
			Name: "stall_timeout", Type: plugin.TypeDuration, Default: "2m", Title: "Stall timeout",
			Help: "A connection is given up when an answer is owed and no byte has moved for so long.",
		},
	}
	for n := range f {
		f[n].Mode = plugin.RoleStore
	}
	return f
}

// A config is an endpoint, decoded.
type config struct {
	Host           string `json:"host"`
	Port           int    `json:"port"`
	User           string `json:"user"`
	Password       string `json:"password"`
	PrivateKey     string `json:"private_key"`
	PrivateKeyFile string `json:"private_key_file"`
	Passphrase     string `json:"passphrase"`
	HostKey        string `json:"host_key"`
	KnownHostsFile string `json:"known_hosts_file"`
	BaseDir        string `json:"base_dir"`
	Prefix         string `json:"prefix"`
	Retries        int    `json:"retries"`
	ConnectTimeout string `json:"connect_timeout"`
	StallTimeout   string `json:"stall_timeout"`
}

func decode(e shield.Endpoint) (config, error) {
	info := about()
	var c config
	err := info.Decode(plugin.RoleStore, e, &c)
	return c, err
}
