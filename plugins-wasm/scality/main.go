// Command scality is shield's plugin for Scality RING and Zenko CloudServer.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

func main() { pdk.Main(s3.Plugin(s3.Scality())) }
