// Package fs is shield's plugin for folders: a tree of files as a target,
// backed up to and restored from a tar stream, and a folder as a store.
//
// What the system can tell about files differs. On Linux the plugin works on
// descriptors and keeps everything: owners, hard links, holes, devices and
// extended attributes. In the WebAssembly sandbox it works on the file service
// of the host and keeps the same. Elsewhere, and in the sandbox of a host
// without that service, it works on os.Root and keeps what that shows.
package fs

import (
	"encoding/json"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Plugin returns the plugin: a target and a store.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Target: openTarget, Store: openStore}
}

func about() plugin.Info {
	return plugin.Info{
		Name:         "fs",
		Author:       "The shield authors",
		Version:      "1.0.0",
		Summary:      "a tree of files as a target, a folder as a store",
		Features:     plugin.Features{Target: "yes", Store: "yes"},
		Fields:       fields(),
		Actions:      []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionList, plugin.ActionProbe, plugin.ActionInspect},
		Capabilities: json.RawMessage(`{"read":["{base_dir}"],"write":["{base_dir}"],"own":["{base_dir}"]}`),
		Naming:       true,
		SlowProbe:    true,
	}
}

func fields() []plugin.Field {
	return []plugin.Field{
		{
			Mode: plugin.RoleTarget, Name: "base_dir", Type: plugin.TypeAbsPath, Required: true,
			Title: "Base directory", Example: "/srv/files",
			Help: "The folder to back up, with everything below it. A restore creates it if it is missing.",
		},
		{
			Mode: plugin.RoleTarget, Name: "include", Type: plugin.TypeString,
			Title: "Files to include", Example: "*.txt, docs/**/*.md",
			Help: "Patterns, separated by commas or newlines. Only files that match one are backed up; folders always are. " + patternHelp,
		},
		{
			Mode: plugin.RoleTarget, Name: "exclude", Type: plugin.TypeString,
			Title: "Files and folders to exclude", Example: "*.tmp, cache/, /var/log/**",
			Help: "Patterns, separated by commas or newlines. What matches one is left out, a folder with everything below it. " + patternHelp,
		},
		{
			Mode: plugin.RoleTarget, Name: "one_file_system", Type: plugin.TypeBool, Default: "false",
			Title: "One file system", Help: "Leave out the content of other file systems that are mounted below base_dir.",
		},
		{
			Mode: plugin.RoleTarget, Name: "max_age", Type: plugin.TypeDuration,
			Title: "Maximum age", Example: "720h",
			Help: "Leave out files that were last modified longer ago than that. Folders are always backed up.",
		},
		{
			Mode: plugin.RoleTarget, Name: "conflict", Type: plugin.TypeEnum, Default: conflictReplace,
			Enum:  []string{conflictReplace, conflictKeep, conflictNewer, conflictFail},
			Title: "What exists",
			Help: "What a restore does with a file that exists: replace it; keep it; replace it only if the one in the archive is newer; " +
				"or keep it and fail in the end.",
		},
		{
			Mode: plugin.RoleTarget, Name: "strict", Type: plugin.TypeBool, Default: "false",
			Title: "Strict",
			Help:  "Fail the backup if a file vanished, changed or could not be read meanwhile. Otherwise that is only noted in the log.",
		},
		{
			Mode: plugin.RoleTarget, Name: "verbose", Type: plugin.TypeBool, Default: "false",
			Title: "Verbose", Help: "Note each file in the log.",
		},
		{
			Mode: plugin.RoleTarget, Name: "sync", Type: plugin.TypeBool, Default: "false",
			Title: "Wait for the disk", Help: "End a restore only when the disk holds all of it, not just the system's cache.",
		},
		{
			Mode: plugin.RoleStore, Name: "base_dir", Type: plugin.TypeAbsPath, Required: true,
			Title: "Base directory", Example: "/mnt/backups",
			Help: "The folder that holds the archives. It must exist, so that a missing mount is noticed.",
		},
		{
			Mode: plugin.RoleStore, Name: "min_free", Type: plugin.TypeBytes, Default: "0",
			Title: "Space to leave free", Example: "10GiB",
			Help: "Bytes of the disk that archives never take. A backup fails before it begins, or as soon as less is left.",
		},
		{
			Mode: plugin.RoleStore, Name: "mode", Type: plugin.TypeString, Default: "0600",
			Title: "Mode of files", Example: "0640",
			Help: "Permissions of new files, in octal. Folders get x where files get r.",
		},
		{
			Mode: plugin.RoleStore, Name: "shard", Type: plugin.TypeBool, Default: "false",
			Title: "Spread over folders",
			Help:  "Put each archive into one of 256 folders, 00 to ff, by a hash of its name, so that these can be of several disks.",
		},
	}
}

const patternHelp = "A pattern without / matches a name at any depth, one with / the path below base_dir; " +
	"* and ? stop at /, ** spans folders."

// A config is an endpoint, decoded.
type config struct {
	BaseDir string `json:"base_dir"`
	Include string `json:"include"`
	Exclude string `json:"exclude"`
	Strict  bool   `json:"strict"`
	Verbose bool   `json:"verbose"`
	Sync    bool   `json:"sync"`

	OneFileSystem bool   `json:"one_file_system"`
	MaxAge        string `json:"max_age"`
	Conflict      string `json:"conflict"`

	MinFree int64  `json:"min_free"`
	Mode    string `json:"mode"`
	Shard   bool   `json:"shard"`
}

func decode(r plugin.Role, e shield.Endpoint) (config, error) {
	info := about()
	var c config
	err := info.Decode(r, e, &c)
	return c, err
}
