//go:build !linux || portable

package wasmhost

// openFiles is for Linux alone. Guests elsewhere use WASI, which keeps less
// of files.
func (i *instance) openFiles(*filesDescriptor) (handle, error) {
	return nil, i.errorf(errNoSystem, "the file service is for Linux alone: use WASI")
}
