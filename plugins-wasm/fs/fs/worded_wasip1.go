package fs

import (
	"errors"
	"strings"
	"syscall"
)

// worded returns the number of a system's error alone, worded as elsewhere.
func worded(err error) error {
	var e syscall.Errno
	if errors.As(err, &e) {
		return errnoText{e}
	}
	return err
}

// errnoText begins with a small letter, unlike the texts of Go for WASI.
type errnoText struct{ syscall.Errno }

func (e errnoText) Error() string {
	text := e.Errno.Error()
	if len(text) > 1 && text[1] >= 'a' {
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

func (e errnoText) Unwrap() error { return e.Errno }
