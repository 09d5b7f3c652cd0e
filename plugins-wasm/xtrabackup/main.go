// Command xtrabackup is shield's plugin for the data folders of MySQL and
// MariaDB as a program: natively an executable, or, built for wasip1, a
// WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/xtrabackup/xtrabackup"
)

func main() { pdk.Main(xtrabackup.Plugin()) }
