// Command postgres is shield's plugin for PostgreSQL as a program: natively
// an executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/postgres/postgres"
)

func main() { pdk.Main(postgres.Plugin()) }
