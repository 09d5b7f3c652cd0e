// Package nativeplugins has the plugins that come with the programs and cannot
// be built as WebAssembly modules. They are compiled in, and yet run as
// executables, a process a call: a program that offers them runs itself again
// for each, so that operators install no further file, and none of these
// plugins shares memory, environment or open files with the daemon.
//
// Such a process is not sandboxed: it may do what its user may.
package nativeplugins

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/rclone/rclone"
	"github.com/shieldhq/shield/plugins-wasm/restic/restic"
	"github.com/shieldhq/shield/plugins-wasm/sftp/sftp"
)

// plugins are the plugins by name. It is never written to but by tests.
var plugins = map[string]func() plugin.Opener{
	"sftp":   func() plugin.Opener { return sftp.Plugin() },
	"rclone": func() plugin.Opener { return rclone.Plugin() },
	"restic": func() plugin.Opener { return restic.Plugin() },
}

// command is the argument by which a program is asked to be a plugin. The
// plugin's name and the arguments of the calling protocol follow.
const command = "plugin-native"

// Main runs one action of a plugin and exits, if args, which begin with the
// program's name, ask for that; else it returns. Programs that use Open call
// it before they do anything else.
func Main(args []string) {
	if len(args) < 2 || args[1] != command {
		return
	}
	if len(args) == 2 {
		refuse("a plugin's name is wanted: %s", list())
	}
	open, ok := plugins[args[2]]
	if !ok {
		refuse("there is no plugin %q: this program has %s", args[2], list())
	}
	os.Exit(pdk.RunProcess(open(), args[3:]))
}

// refuse exits as a plugin does whose usage was wrong.
func refuse(format string, args ...any) {
	fmt.Fprintln(os.Stderr, pdk.FormatError(shield.Errorf(shield.PluginFailed, command, format, args...)))
	os.Exit(1)
}

func list() string {
	names := make([]string, 0, len(plugins))
	for name := range plugins {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Open returns the plugins by name. Their calls run this program, which has to
// call Main.
func Open() (map[string]plugin.Opener, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, shield.Errorf(shield.Unavailable, "plugin", "this program cannot be found, and so its plugins cannot be run: %w", err)
	}
	all := map[string]plugin.Opener{}
	for name := range plugins {
		o, err := exec.Open(program, &exec.Options{Name: name, Args: []string{command, name}})
		if err != nil {
			return nil, err
		}
		all[name] = o
	}
	return all, nil
}
