// Package webdav is shield's plugin for WebDAV servers: a folder as a store,
// an archive a file. It speaks the protocol of RFC 4918 by itself, since
// clients that can be had keep whole files in memory.
//
// https://www.rfc-editor.org/rfc/rfc4918
package webdav

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
		Name:         "webdav",
		Author:       "The shield authors",
		Version:      "1.0.0",
		Summary:      "a folder of a WebDAV server as a store",
		Features:     plugin.Features{Target: "no", Store: "yes"},
		Fields:       fields(),
		Actions:      []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint:     plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"http":["{url}"],"tcp":["{proxy}"],"memory":"64MiB"}`),
		Naming:       true,
	}
}

func fields() []plugin.Field {
	f := []plugin.Field{
		{
			Name: "url", Type: plugin.TypeURL, Required: true, Title: "URL", Example: "https://dav.example/backups",
			Help: "The folder that holds the archives. It must exist.",
		},
		{
			Name: "prefix", Type: plugin.TypeString, Title: "Prefix", Example: "shield/production",
			Help: "A path below the URL, where the archives are. It is made when it is first needed.",
		},
		{Name: "username", Type: plugin.TypeString, Title: "User name"},
		{Name: "password", Type: plugin.TypePassword, Title: "Password"},
		{
			Name: "token", Type: plugin.TypePassword, Title: "Token",
			Help: "A bearer token, in place of user name and password.",
		},
		{
			Name: "auth", Type: plugin.TypeEnum, Enum: []string{authAuto, authBasic, authDigest}, Default: authAuto, Title: "Authentication",
			Help: "How the password is proved. auto: as the server asks for it, digest if it offers both. basic: it is sent along without being asked for. digest: it is never sent.",
		},
		{
			Name: "ca", Type: plugin.TypePEM, Title: "Certificate authority",
			Help: "The certificates, in PEM form, that the server's is checked with, in place of the system's.",
		},
		{Name: "cert", Type: plugin.TypeText, Title: "Client certificate", Help: "In PEM form."},
		{Name: "key", Type: plugin.TypePEM, Title: "Key of the client certificate"},
		{
			Name: "skip_ssl_validation", Type: plugin.TypeBool, Default: "false", Title: "Take any certificate",
			Help: "Then anybody on the way can read the password and change what is sent.",
		},
		{Name: "proxy", Type: plugin.TypeURL, Title: "Proxy", Example: "http://proxy.example:3128", Help: "http, https or socks5, with its port."},
		{
			Name: "retries", Type: plugin.TypeInteger, Default: "5", Title: "Retries",
			Help: "How often a request that failed in passing is sent again. The bytes of an archive of more than 1 MiB are sent once.",
		},
		{
			Name: "stall_timeout", Type: plugin.TypeDuration, Default: "2m", Title: "Stall timeout",
			Help: "A request is given up when no byte has moved for so long.",
		},
	}
	for n := range f {
		f[n].Mode = plugin.RoleStore
	}
	return f
}

// A config is an endpoint, decoded.
type config struct {
	URL          string `json:"url"`
	Prefix       string `json:"prefix"`
	Username     string `json:"username"`
	Password     string `json:"password"`
	Token        string `json:"token"`
	Auth         string `json:"auth"`
	CA           string `json:"ca"`
	Cert         string `json:"cert"`
	Key          string `json:"key"`
	Insecure     bool   `json:"skip_ssl_validation"`
	Proxy        string `json:"proxy"`
	Retries      int    `json:"retries"`
	StallTimeout string `json:"stall_timeout"`
}

func decode(e shield.Endpoint) (config, error) {
	info := about()
	var c config
	err := info.Decode(plugin.RoleStore, e, &c)
	return c, err
}

func invalid(field, format string, args ...any) error {
	return shield.FieldErrorf("endpoint."+field, format, args...)
}
