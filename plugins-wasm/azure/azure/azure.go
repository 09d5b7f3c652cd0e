// Package azure is shield's plugin for Azure Blob Storage: a container as a
// store, an archive a block blob. It speaks the REST API of the service, since
// Microsoft's client library does not build for the sandbox.
//
// https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
package azure

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
		Name:     "azure",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "a container of Azure Blob Storage as a store",
		Features: plugin.Features{Target: "no", Store: "yes"},
		Fields:   fields(),
		Actions:  []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint: plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"http":["https://{account}.blob.core.windows.net/{container}","{endpoint}/{container}"],` +
			`"memory":"64MiB"}`),
		Naming:  true,
		Keeping: true,
	}
}

func fields() []plugin.Field {
	f := []plugin.Field{
		{
			Name: "account", Type: plugin.TypeString, Title: "Storage account", Example: "mybackups",
			Help: "The name of the storage account. It may be left out where the endpoint begins with it.",
		},
		{
			Name: "container", Type: plugin.TypeString, Required: true, Title: "Container", Example: "backups",
			Help: "The container that holds the archives. It must exist.",
		},
		{
			Name: "prefix", Type: plugin.TypeString, Title: "Prefix", Example: "shield/production",
			Help: "A path in the container, below which the archives are.",
		},
		{
			Name: "key", Type: plugin.TypePassword, Title: "Account key",
			Help: "One of the two keys of the account. One of key, sas and connection_string is needed.",
		},
		{
			Name: "sas", Type: plugin.TypePassword, Title: "Shared access signature",
			Help: "The token of a shared access signature for the container, or the account, with the permissions read, add, create, write, delete and list (racwdl); with i for immutability, with x for versions.",
		},
		{
			Name: "connection_string", Type: plugin.TypePassword, Title: "Connection string",
			Help: "As the portal shows it. The field account, or endpoint for one that names its own, has to be set beside it: they say what the plugin may reach.",
		},
		{
			Name: "endpoint", Type: plugin.TypeURL, Title: "Endpoint", Example: "https://mybackups.blob.core.usgovcloudapi.net",
			Help: "The URL of the blob service, for national clouds, private links and emulators. Without it: https://ACCOUNT.blob.core.windows.net.",
		},
		{
			Name: "access_tier", Type: plugin.TypeEnum, Enum: []string{"hot", "cool", "cold"}, Title: "Access tier",
			Help: "The tier of new archives. Without it: the account's.",
		},
		{
			Name: "immutability_mode", Type: plugin.TypeEnum, Enum: []string{"none", "unlocked", "locked"}, Default: "none", Title: "Immutability",
			Help: "The policy that keeps archives until they expire. An unlocked one can be lifted by who has the permission, a locked one by nobody. The container needs support for immutability of versions.",
		},
		{
			Name: "ca", Type: plugin.TypePEM, Title: "Certificate authority",
			Help: "The certificates, in PEM form, that the server's is checked with, in place of the system's.",
		},
		{
			Name: "retries", Type: plugin.TypeInteger, Default: "5", Title: "Retries",
			Help: "How often a request that failed in passing is sent again.",
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
	Account          string `json:"account"`
	Container        string `json:"container"`
	Prefix           string `json:"prefix"`
	Key              string `json:"key"`
	SAS              string `json:"sas"`
	ConnectionString string `json:"connection_string"`
	Endpoint         string `json:"endpoint"`
	AccessTier       string `json:"access_tier"`
	ImmutabilityMode string `json:"immutability_mode"`
	CA               string `json:"ca"`
	Retries          int    `json:"retries"`
	StallTimeout     string `json:"stall_timeout"`
}

func decode(e shield.Endpoint) (config, error) {
	info := about()
	var c config
	err := info.Decode(plugin.RoleStore, e, &c)
	return c, err
}
