//go:build !unix && !wasip1

package fs

import (
	"errors"
	"strings"
)

func isNotDir(err error) bool {
	return strings.HasSuffix(err.Error(), "not a directory")
}

func isFolder(error) bool { return false }

func isFatal(error) bool { return false }

func isLacking(err error) bool { return errors.Is(err, errUnsupported) }
