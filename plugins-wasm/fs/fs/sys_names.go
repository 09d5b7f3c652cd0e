//go:build (!linux || portable) && !wasip1

package fs

// Here the portable source is all that there is.
type (
	dir      = portableDir
	file     = portableFile
	fileName = portableName
)

func openBase(path string) (*dir, error) { return openPortable(path) }
