// Package redis is shield's plugin for Redis, and for what speaks its protocol
// and replicates as it does. An archive is one RDB file, as Redis itself
// writes it: taken over the network as a replica takes it, or from the
// server's own folder after BGSAVE.
package redis

import (
	"encoding/json"
	"net"
	"strconv"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

// Plugin returns the plugin: a target.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Target: open}
}

// restart is the command that starts the server anew, as the grant says.
const restart = "redis-restart"

func about() plugin.Info {
	return plugin.Info{
		Name:     "redis",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "a Redis server: all keys of all databases",
		Features: plugin.Features{Target: "yes", Store: "no"},
		Fields:   fields(),
		Actions:  []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionProbe, plugin.ActionInspect},
		Endpoint: plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"tcp":["{host}:{port}"],"own":["{data_dir}"],"exec":["` + restart + `"],` +
			`"memory":"1280MiB"}`),
	}
}

func fields() []plugin.Field {
	all := []plugin.Field{
		{Name: "host", Type: plugin.TypeString, Title: "Host", Default: "127.0.0.1", Example: "redis1.example.com"},
		{Name: "port", Type: plugin.TypePort, Title: "Port", Default: "6379"},
		{
			Name: "username", Type: plugin.TypeString, Title: "User",
			Help: "Of an access control list, from Redis 6 on. Empty is the default user.",
		},
		{Name: "password", Type: plugin.TypePassword, Title: "Password"},
		{
			Name: "mode", Type: plugin.TypeEnum, Title: "Way", Enum: []string{modeNetwork, modeLocal}, Default: modeNetwork,
			Help: "network: as a replica does, from anywhere. local: the server saves into its folder, and shield reads that; shield runs on the server's host.",
		},
		{
			Name: "data_dir", Type: plugin.TypeAbsPath, Title: "Folder of the data", Example: "/var/lib/redis",
			Help: "Where the server saves, for the local way.",
		},
		{
			Name: "existing", Type: plugin.TypeEnum, Title: "Keys that are there already",
			Enum: []string{existingReplace, existingRefuse, existingFlush}, Default: existingReplace,
			Help: "What a restore over the network does with them. replace: keys of the archive take the place of those with their names, all others stay. " +
				"refuse: the server must be empty. flush: the server is emptied first.",
		},
		{
			Name: "tls", Type: plugin.TypeEnum, Title: "TLS", Enum: []string{tlsOff, tlsVerify, tlsInsecure}, Default: tlsOff,
			Help: "verify: the certificate must be good for the host. insecure: any certificate will do.",
		},
		{Name: "tls_name", Type: plugin.TypeString, Title: "Name in the certificate", Help: "If it is not the host."},
		{Name: "ca", Type: plugin.TypeText, Title: "Certificate authorities", Help: "In PEM form, instead of the system's."},
		{Name: "cert", Type: plugin.TypeText, Title: "Client certificate", Help: "In PEM form."},
		{Name: "key", Type: plugin.TypePEM, Title: "Key of the client certificate"},
	}
	for n := range all {
		all[n].Mode = plugin.RoleTarget
	}
	return all
}

// The values of the enums.
const (
	modeNetwork = "network"
	modeLocal   = "local"

	existingReplace = "replace"
	existingRefuse  = "refuse"
	existingFlush   = "flush"

	tlsOff      = "off"
	tlsVerify   = "verify"
	tlsInsecure = "insecure"
)

// A config is an endpoint, decoded.
type config struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Username string `json:"username"`
	Password string `json:"password"`
	Mode     string `json:"mode"`
	DataDir  string `json:"data_dir"`
	Existing string `json:"existing"`
	TLS      string `json:"tls"`
	TLSName  string `json:"tls_name"`
	CA       string `json:"ca"`
	Cert     string `json:"cert"`
	Key      string `json:"key"`
}

func (c *config) addr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c *config) tlsConfig() *pdk.TLSConfig {
	return &pdk.TLSConfig{Name: c.TLSName, CA: c.CA, Cert: c.Cert, Key: c.Key, Insecure: c.TLS == tlsInsecure}
}

// check looks at what the fields alone do not say.
func (c *config) check() error {
	switch {
	case c.Mode == modeLocal && c.DataDir == "":
		return shield.FieldErrorf("endpoint.data_dir", `is missing: mode "local" reads the server's folder`)
	case (c.Cert == "") != (c.Key == ""):
		return shield.FieldErrorf("endpoint.cert", "certificate and key are wanted, or neither")
	case c.TLS == tlsOff && (c.Cert != "" || c.CA != "" || c.TLSName != ""):
		return shield.FieldErrorf("endpoint.tls", `is "off", but there are certificates or a name for it: "verify" is wanted, or none of them`)
	case c.Username != "" && c.Password == "":
		return shield.FieldErrorf("endpoint.password", "is missing for user %q", c.Username)
	}
	return nil
}

func open(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	info := about()
	t := &target{log: log}
	if err := info.Decode(plugin.RoleTarget, e, &t.config); err != nil {
		return nil, err
	}
	if t.log == nil {
		t.log = func(string) {}
	}
	return t, t.check()
}
