// Command redis is shield's plugin for Redis and what speaks its protocol, as
// a program: natively an executable, or, built for wasip1, a WebAssembly
// module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/redis/redis"
)

func main() { pdk.Main(redis.Plugin()) }
