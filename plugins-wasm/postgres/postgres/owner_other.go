//go:build !unix && !wasip1

package postgres

// ownFolder does nothing: there are no owners to give.
func ownFolder(string, string) error { return nil }
