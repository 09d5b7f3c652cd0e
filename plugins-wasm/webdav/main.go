// Command webdav is shield's plugin for WebDAV servers as a program: natively
// an executable, or, built for wasip1, a WebAssembly module.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/webdav/webdav"
)

func main() { pdk.Main(webdav.Plugin()) }
