// Command mysql is shield's plugin for MySQL and MariaDB as a program:
// natively an executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/mysql/mysql"
)

func main() { pdk.Main(mysql.Plugin()) }
