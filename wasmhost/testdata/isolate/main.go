// Command isolate is what shieldd is to plugins in a process of their own.
package main

import (
	"os"

	"github.com/shieldhq/shield/wasmhost"
)

func main() { os.Exit(wasmhost.RunIsolated(os.Args[2:], os.Stdin, os.Stdout, os.Stderr)) }
