// Package google is shield's plugin for Google Cloud Storage: a bucket as a
// store, an archive an object. It speaks the JSON API of the service, since
// Google's client library would make the module 68 MB large.
//
// https://cloud.google.com/storage/docs/json_api
package google

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
		Name:     "google",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "a bucket of Google Cloud Storage as a store",
		Features: plugin.Features{Target: "no", Store: "yes"},
		Fields:   fields(),
		Actions:  []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint: plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"http":["{endpoint}/storage/v1/b/{bucket}","{endpoint}/upload/storage/v1/b/{bucket}","{endpoint}/{bucket}","{token_url}"],` +
			`"memory":"80MiB"}`),
		Naming:  true,
		Keeping: true,
	}
}

func fields() []plugin.Field {
	f := []plugin.Field{
		{
			Name: "bucket", Type: plugin.TypeString, Required: true, Title: "Bucket", Example: "my-backups",
			Help: "The bucket that holds the archives. It must exist.",
		},
		{
			Name: "prefix", Type: plugin.TypeString, Title: "Prefix", Example: "shield/production",
			Help: "A path in the bucket, below which the archives are.",
		},
		{
			Name: "json_key", Type: plugin.TypePassword, Title: "Service account key",
			Help: "The JSON key of a service account, the whole text of the file. The account needs the role Storage Object User on the bucket; Storage Object Admin for retention.",
		},
		{
			Name: "access_id", Type: plugin.TypeString, Title: "HMAC access ID", Example: "GOOG1EXAMPLE",
			Help: "With secret, an S3-compatible key in place of json_key.",
		},
		{
			Name: "secret", Type: plugin.TypePassword, Title: "HMAC secret", Help: "Of access_id.",
		},
		{
			Name: "storage_class", Type: plugin.TypeEnum, Enum: []string{"standard", "nearline", "coldline", "archive"}, Title: "Storage class",
			Help: "The class of new archives. Without it: the bucket's.",
		},
		{
			Name: "retention_mode", Type: plugin.TypeEnum, Enum: []string{"none", "unlocked", "locked"}, Default: "none", Title: "Retention",
			Help: "The retention that keeps archives until they expire. An unlocked one can be lifted by who has the permission, a locked one by nobody. The bucket needs object retention.",
		},
		{
			Name: "endpoint", Type: plugin.TypeURL, Default: "https://storage.googleapis.com", Title: "Endpoint",
			Help: "The URL of the service, for private and regional endpoints and emulators.",
		},
		{
			Name: "token_url", Type: plugin.TypeURL, Default: "https://oauth2.googleapis.com/token", Title: "Token URL",
			Help: "Where access tokens come from: what the key has as its token_uri.",
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
	Bucket        string `json:"bucket"`
	Prefix        string `json:"prefix"`
	JSONKey       string `json:"json_key"`
	AccessID      string `json:"access_id"`
	Secret        string `json:"secret"`
	StorageClass  string `json:"storage_class"`
	RetentionMode string `json:"retention_mode"`
	Endpoint      string `json:"endpoint"`
	TokenURL      string `json:"token_url"`
	CA            string `json:"ca"`
	Retries       int    `json:"retries"`
	StallTimeout  string `json:"stall_timeout"`
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
