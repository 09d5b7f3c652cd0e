// Command mongo is shield's plugin for MongoDB as a program: natively an
// executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/mongo/mongo"
)

func main() { pdk.Main(mongo.Plugin()) }
