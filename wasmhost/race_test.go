//go:build race

package wasmhost_test

func init() { raced = true }
