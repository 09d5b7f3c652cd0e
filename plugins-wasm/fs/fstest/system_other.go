//go:build !linux

package fstest

// system adds nothing: elsewhere the plugin does not keep it.
func (m *maker) system() {}
