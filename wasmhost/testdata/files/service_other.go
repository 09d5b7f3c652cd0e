//go:build !wasip1

package main

import (
	"errors"
	"io"
)

func (f *files) service(io.Writer) error { return errors.ErrUnsupported }
