// Command azure is shield's plugin for Azure Blob Storage as a program:
// natively an executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
)

func main() { pdk.Main(azure.Plugin()) }
