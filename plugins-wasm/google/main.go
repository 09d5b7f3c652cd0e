// Command google is shield's plugin for Google Cloud Storage as a program:
// natively an executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/google/google"
)

func main() { pdk.Main(google.Plugin()) }
