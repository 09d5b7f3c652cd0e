// Command fs is shield's plugin for folders as a program: natively an
// executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
)

func main() { pdk.Main(fs.Plugin()) }
