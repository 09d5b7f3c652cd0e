//go:build !wasip1

// Command restic is shield's plugin around restic as a program: an executable.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/restic/restic"
)

func main() { pdk.Main(restic.Plugin()) }
