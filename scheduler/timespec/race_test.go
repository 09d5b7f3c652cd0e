//go:build race

package timespec_test

func init() { slow = true }
