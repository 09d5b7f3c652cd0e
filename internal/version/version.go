// Package version tells the release of the program, from the linker's flag
// or from what the Go toolchain recorded.
package version

import "runtime/debug"

// release is set by -ldflags "-X .../internal/version.release=v1.2.3".
var release string

// String returns the release, like "v1.2.3" or "devel-0123456789ab".
func String() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
