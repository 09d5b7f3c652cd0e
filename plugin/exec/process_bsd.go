//go:build unix && !linux

package exec

import "syscall"

// attributes puts the plugin into a group of its own. A plugin of a killed
// host lives on here until it reads or writes.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
