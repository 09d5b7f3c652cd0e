// Package restic is shield's plugin around the program restic: a repository of
// restic's as a store, for archives that are much alike. It wants raw streams,
// since what is compressed or encrypted has nothing in common any more.
//
// An archive is two snapshots: one that holds it, as a file named by its key,
// and one that says that it is whole. restic makes a snapshot of whatever its
// input held until it ended; without the second one nobody sees it.
package restic

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
		Name:     "restic",
		Author:   "The shield authors",
		Version:  "1.0.0",
		Summary:  "a repository of restic's as a store, with deduplication",
		Features: plugin.Features{Target: "no", Store: "yes"},
		Fields:   fields(),
		Actions:  []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList},
		Endpoint: plugin.DeliverFD,
		Naming:   true,
		Streams:  plugin.StreamsRaw,
	}
}

func fields() []plugin.Field {
	f := []plugin.Field{
		{
			Name: "repository", Type: plugin.TypeString, Required: true, Title: "Repository", Example: "sftp:backup@host:/srv/restic",
			Help: "Where the repository is, as restic writes it. A user and a password for a REST server have fields of their own.",
		},
		{
			Name: "password", Type: plugin.TypePassword, Title: "Password",
			Help: "The password of the repository. It, or password_file, is needed.",
		},
		{
			Name: "password_file", Type: plugin.TypeAbsPath, Title: "Password file",
			Help: "A file of the host that has the password.",
		},
		{
			Name: "rest_user", Type: plugin.TypeString, Title: "REST user", Help: "The user at a REST server.",
		},
		{
			Name: "rest_password", Type: plugin.TypePassword, Title: "REST password", Help: "The user's password there.",
		},
		{
			Name: "env", Type: plugin.TypeText, Secret: true, Title: "Credentials", Example: "AWS_ACCESS_KEY_ID=...",
			Help: "Variables by which restic gets its credentials, a NAME=VALUE a line: AWS_, AZURE_, B2_, GOOGLE_, OS_, ST_ and proxies.",
		},
		{
			Name: "ca", Type: plugin.TypePEM, Title: "Certificate authority",
			Help: "The certificates, in PEM form, that the server's is checked with, in place of the system's.",
		},
		{
			Name: "init", Type: plugin.TypeBool, Default: "false", Title: "Make the repository",
			Help: "Make the repository if there is none.",
		},
		{
			Name: "prune", Type: plugin.TypeBool, Default: "false", Title: "Prune",
			Help: "Free the room of an archive when it is purged. That reads the index and rewrites what is shared, while nobody else can use the repository.",
		},
		{
			Name: "unlock", Type: plugin.TypeBool, Default: "false", Title: "Remove stale locks",
			Help: "Where a lock is in the way, remove those whose process is gone or that are older than half an hour, as restic unlock does.",
		},
		{
			Name: "lock_wait", Type: plugin.TypeDuration, Default: "5m", Title: "Wait for locks",
			Help: "How long to wait for others that use the repository.",
		},
		{
			Name: "compression", Type: plugin.TypeEnum, Enum: []string{"auto", "max", "off"}, Default: "auto", Title: "Compression",
			Help: "What restic does with a repository of its version 2.",
		},
		{
			Name: "upload_limit", Type: plugin.TypeInteger, Default: "0", Title: "Upload limit", Help: "KiB a second; 0 is none.",
		},
		{
			Name: "download_limit", Type: plugin.TypeInteger, Default: "0", Title: "Download limit", Help: "KiB a second; 0 is none.",
		},
		{
			Name: "host", Type: plugin.TypeString, Default: "shield", Title: "Host", Help: "The host that the snapshots name.",
		},
		{
			Name: "tag", Type: plugin.TypeString, Title: "Tag", Help: "A tag that the snapshots get beside those of the plugin.",
		},
		{
			Name: "cache_dir", Type: plugin.TypeAbsPath, Title: "Cache", Help: "The folder of restic's cache, if not the usual one.",
		},
		{
			Name: "restic", Type: plugin.TypeAbsPath, Title: "Program", Example: "/opt/restic/restic",
			Help: "The program, or its folder, if it is not on PATH.",
		},
		{
			Name: "stall_timeout", Type: plugin.TypeDuration, Default: "30m", Title: "Stall timeout",
			Help: "restic is ended when it has moved no byte for so long. It has to be longer than pruning takes.",
		},
	}
	for n := range f {
		f[n].Mode = plugin.RoleStore
	}
	return f
}

// A config is an endpoint, decoded.
type config struct {
	Repository    string `json:"repository"`
	Password      string `json:"password"`
	PasswordFile  string `json:"password_file"`
	RestUser      string `json:"rest_user"`
	RestPassword  string `json:"rest_password"`
	Env           string `json:"env"`
	CA            string `json:"ca"`
	Init          bool   `json:"init"`
	Prune         bool   `json:"prune"`
	Unlock        bool   `json:"unlock"`
	LockWait      string `json:"lock_wait"`
	Compression   string `json:"compression"`
	UploadLimit   int    `json:"upload_limit"`
	DownloadLimit int    `json:"download_limit"`
	Host          string `json:"host"`
	Tag           string `json:"tag"`
	CacheDir      string `json:"cache_dir"`
	Restic        string `json:"restic"`
	StallTimeout  string `json:"stall_timeout"`
}

func decode(e shield.Endpoint) (config, error) {
	info := about()
	var c config
	err := info.Decode(plugin.RoleStore, e, &c)
	return c, err
}
