// Package rclone is shield's plugin around the program rclone: any of the
// storages that it knows as a store. An archive is one file there, uploaded
// under another name and moved when it is known to be whole.
package rclone

import (
	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Plugin returns the plugin: a store.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Store: openStore}
}

func about() plugin.Info {
	return plugin.Info{
		Name:     "rclone",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "any storage that rclone knows as a store",
		Features: plugin.Features{Target: "no", Store: "yes"},
		Fields:   fields(),
		Actions:  []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint: plugin.DeliverFD,
		Naming:   true,
	}
}

func fields() []plugin.Field {
	f := []plugin.Field{
		{
			Name: "remote", Type: plugin.TypeString, Required: true, Title: "Remote", Example: "offsite:backups/shield",
			Help: "Where the archives are, as rclone writes it: NAME:PATH of the configuration, :BACKEND,OPTIONS:PATH, or a path of this host.",
		},
		{
			Name: "config", Type: plugin.TypeText, Secret: true, Title: "Configuration",
			Help: "The text of an rclone.conf with what the remote needs. rclone reads it from a private file that is gone afterwards, so tokens that it renews are not kept.",
		},
		{
			Name: "config_file", Type: plugin.TypeAbsPath, Title: "Configuration file", Example: "/etc/shield/rclone.conf",
			Help: "Or the path of an rclone.conf, which rclone keeps up to date.",
		},
		{
			Name: "password", Type: plugin.TypePassword, Title: "Configuration password",
			Help: "Opens a configuration that rclone has encrypted.",
		},
		{
			Name: "rclone", Type: plugin.TypeAbsPath, Title: "Program", Example: "/opt/rclone/rclone",
			Help: "The program, or its folder, if it is not on PATH.",
		},
		{
			Name: "checksum", Type: plugin.TypeEnum, Enum: []string{"cheap", "always", "never"}, Default: "cheap", Title: "Checksums",
			Help: "Whether the remote's checksum of an archive is compared after the upload: where it has one at hand, also where it has to read the archive for it, or never. The size always is.",
		},
		{
			Name: "flags", Type: plugin.TypeString, Title: "Further flags", Example: "--tpslimit=4 --fast-list",
			Help: "Flags of rclone's, each as --NAME or --NAME=VALUE. The README lists those that may be set.",
		},
		{
			Name: "bandwidth", Type: plugin.TypeString, Title: "Bandwidth", Example: "08:00,2M 19:00,off",
			Help: "A limit in bytes a second or a timetable of limits, as --bwlimit of rclone's takes it.",
		},
		{
			Name: "connect_timeout", Type: plugin.TypeDuration, Default: "1m", Title: "Connect timeout",
			Help: "A connection has to be made within so long.",
		},
		{
			Name: "io_timeout", Type: plugin.TypeDuration, Default: "5m", Title: "Connection timeout",
			Help: "A connection is given up when no byte has moved on it for so long.",
		},
		{
			Name: "stall_timeout", Type: plugin.TypeDuration, Default: "15m", Title: "Stall timeout",
			Help: "rclone itself is ended when it has moved no byte for so long. Give it more than its own timeouts with all their retries.",
		},
		{
			Name: "retries", Type: plugin.TypeInteger, Default: "10", Title: "Retries",
			Help: "How often rclone sends a request again that failed in passing.",
		},
	}
	for n := range f {
		f[n].Mode = plugin.RoleStore
	}
	return f
}

// A config is an endpoint, decoded.
type config struct {
	Remote         string `json:"remote"`
	Config         string `json:"config"`
	ConfigFile     string `json:"config_file"`
	Password       string `json:"password"`
	Rclone         string `json:"rclone"`
	Checksum       string `json:"checksum"`
	Flags          string `json:"flags"`
	Bandwidth      string `json:"bandwidth"`
	ConnectTimeout string `json:"connect_timeout"`
	IOTimeout      string `json:"io_timeout"`
	StallTimeout   string `json:"stall_timeout"`
	Retries        int    `json:"retries"`
}

func decode(e shield.Endpoint) (config, error) {
	info := about()
	var c config
	err := info.Decode(plugin.RoleStore, e, &c)
	return c, err
}
