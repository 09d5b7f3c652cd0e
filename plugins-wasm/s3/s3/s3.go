// Package s3 is shield's store for everything that speaks S3. minio-go knows
// the dialects; this package has what archives need on top: streams of
// unknown length in parts that are kept until the server has confirmed their
// checksum, nothing left behind by what fails, object locks, and versioned
// buckets whose blobs are really gone once they are purged.
package s3

import (
	"encoding/json"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A Dialect is what sets one kind of S3 service apart: its name and the
// defaults of its fields.
type Dialect struct {
	Name, Summary string
	Defaults      map[string]string // by field
	Aliases       []plugin.Field    // further fields, of the names that others use
}

// Scality is the dialect of Scality RING and Zenko CloudServer: buckets are in
// the path, and older releases know no checksums but MD5.
func Scality() *Dialect {
	return &Dialect{
		Name: "scality", Summary: "Scality RING and Zenko CloudServer",
		Defaults: map[string]string{"style": "path", "checksum": "md5"},
		Aliases: []plugin.Field{{
			Mode: plugin.RoleStore, Name: "scality_host", Type: plugin.TypeString,
			Title: "Host", Help: "The host, and port, in place of url, reached by https.",
		}},
	}
}

// Plugin returns the plugin, a store. nil is for plain S3.
func Plugin(d *Dialect) *plugin.Native {
	if d == nil {
		d = &Dialect{Name: "s3", Summary: "object stores that speak S3"}
	}
	info := d.info()
	return &plugin.Native{About: info, Store: func(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
		return open(&info, e, log)
	}}
}

func (d *Dialect) info() plugin.Info {
	return plugin.Info{
		Name: d.Name, Author: "The shield authors", Version: "1.0.0", Summary: d.Summary,
		Features:     plugin.Features{Target: "no", Store: "yes"},
		Fields:       d.fields(),
		Actions:      []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint:     plugin.DeliverFD,
		Capabilities: d.capabilities(),
		Naming:       true,
		Keeping:      true,
	}
}

// capabilities name the hosts that the fields name, and no others. Entries of
// fields that an endpoint lacks fall away.
func (d *Dialect) capabilities() json.RawMessage {
	c := plugin.Capabilities{
		HTTP: []string{"{url}", "https://{s3_host}", "https://{s3_host}:{s3_port}", "{metadata_url}", "{sts_url}"},
		TCP:  []string{"{proxy}", "{socks5_proxy}"},
		Read: []string{"{web_identity_dir}"},
		// Parts have 48 MiB, see maxBuffer; the rest is for the Go runtime.
		Memory: 80 << 20,
	}
	for n := range d.Aliases {
		c.HTTP = append(c.HTTP, "https://{"+d.Aliases[n].Name+"}")
	}
	b, _ := json.Marshal(c) // strings always encode
	return b
}
