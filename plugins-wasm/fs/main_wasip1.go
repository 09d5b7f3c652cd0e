package main

import "runtime/debug"

// Little of what the guest has is alive at any time, and collecting garbage
// costs it more than it does a native program. It stays below 25 MiB.
func init() { debug.SetGCPercent(400) }
