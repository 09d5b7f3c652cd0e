//go:build !unix && !wasip1

package fs

import (
	"errors"
	"strings"
)

var errNotDir = errors.New("not a directory")

func isNotDir(err error) bool {
	return err != nil && strings.HasSuffix(err.Error(), errNotDir.Error())
}

func isFolder(error) bool { return false }

func isFatal(error) bool { return false }

func isLacking(err error) bool { return errors.Is(err, errUnsupported) }
