//go:build !wasip1

// Command rclone is shield's plugin around rclone as a program: an executable.
package main

import (
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/rclone/rclone"
)

func main() { pdk.Main(rclone.Plugin()) }
