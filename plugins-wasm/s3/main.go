// Command s3 is shield's plugin for object stores that speak S3.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

func main() { pdk.Main(s3.Plugin(nil)) }
