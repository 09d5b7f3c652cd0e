//go:build !wasip1

// Command sftp is shield's plugin for SFTP servers as a program: an executable,
// since the SFTP library does not build for wasip1.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/sftp/sftp"
)

func main() { pdk.Main(sftp.Plugin()) }
