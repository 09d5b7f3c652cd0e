// Command docker-postgres is shield's plugin for the PostgreSQL containers of
// a Docker host as a program: natively an executable, or, built for wasip1, a
// WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/docker-postgres/dockerpg"
)

func main() { pdk.Main(dockerpg.Plugin()) }
