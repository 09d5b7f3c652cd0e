//go:build !unix

package wasmhost_test

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
