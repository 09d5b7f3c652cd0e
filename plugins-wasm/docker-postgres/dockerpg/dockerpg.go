// Package dockerpg is shield's plugin for PostgreSQL servers that run in
// Docker containers: it finds them, notes how each was created, dumps each by
// the programs that are in it, and can make a missing one again and load its
// dump. It runs the docker command; nothing else reaches the engine.
package dockerpg

import (
	"encoding/json"

	"github.com/shieldhq/shield/plugin"
)

// Plugin returns the plugin: a target.
func Plugin() *plugin.Native {
	return &plugin.Native{About: about(), Target: openTarget}
}

func about() plugin.Info {
	return plugin.Info{
		Name:         "docker-postgres",
		Author:       "The shield authors",
		Version:      "1.0.0",
		Summary:      "the PostgreSQL containers of a Docker host",
		Features:     plugin.Features{Target: "yes", Store: "no"},
		Fields:       fields(),
		Actions:      []plugin.Action{plugin.ActionValidate, plugin.ActionTest, plugin.ActionProbe, plugin.ActionInspect},
		Endpoint:     plugin.DeliverFD,
		Capabilities: json.RawMessage(`{"exec":["docker","{docker_bindir}/docker"]}`),

		RestoresStopped: map[string]string{}, // always: containers are made and started
	}
}

// The values of pg_existing.
const (
	replace = "replace"
	refuse  = "fail"
)

func fields() []plugin.Field {
	return []plugin.Field{
		{
			Mode: plugin.RoleTarget, Name: "socket", Type: plugin.TypeString, Default: "unix:///var/run/docker.sock",
			Title: "Docker engine", Help: "Where the engine listens: unix:// and the path of its socket.",
		},
		{
			Mode: plugin.RoleTarget, Name: "image", Type: plugin.TypeString, Default: "*postgres*", Example: "postgres, registry.example/db/*",
			Title: "Images", Help: "Patterns, separated by commas. A container is meant if its image, without the tag, or the last part of that, matches one.",
		},
		{
			Mode: plugin.RoleTarget, Name: "label", Type: plugin.TypeString, Example: "backup=yes",
			Title: "Label", Help: "Only containers with this label, or this label and value.",
		},
		{
			Mode: plugin.RoleTarget, Name: "container", Type: plugin.TypeString, Example: "db1, db2",
			Title: "Containers", Help: "Only containers of these names, separated by commas; each has to be there.",
		},
		{
			Mode: plugin.RoleTarget, Name: "pg_user", Type: plugin.TypeString,
			Title: "Role", Help: "The role to connect as, if not the POSTGRES_USER of the container or postgres.",
		},
		{
			Mode: plugin.RoleTarget, Name: "pg_password", Type: plugin.TypePassword,
			Title: "Password", Help: "If not the POSTGRES_PASSWORD of the container.",
		},
		{
			Mode: plugin.RoleTarget, Name: "pg_existing", Type: plugin.TypeEnum, Enum: []string{replace, refuse}, Default: replace,
			Title: "What exists", Help: "What a restore does with databases that are there and not empty: replace them once the new ones are whole, or fail.",
		},
		{
			Mode: plugin.RoleTarget, Name: "pull", Type: plugin.TypeBool, Default: "true",
			Title: "Pull images", Help: "Whether a restore may get the image of a container that it makes, if the host lacks it.",
		},
		{
			Mode: plugin.RoleTarget, Name: "start_timeout", Type: plugin.TypeDuration, Default: "2m",
			Title: "Time to start", Help: "How long a container that a restore starts may take to answer.",
		},
		{
			Mode: plugin.RoleTarget, Name: "docker_bindir", Type: plugin.TypeAbsPath, Example: "/opt/docker/bin",
			Title: "Folder of docker", Help: "Where the command docker is, if not in the usual folders.",
		},
	}
}
