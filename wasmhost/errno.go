package wasmhost

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// An errno is an error number of WASI preview 1. Guests get it negated.
type errno int32

// The numbers are WASI's.
const (
	errArguments    errno = 1
	errAccess       errno = 2
	errAgain        errno = 6
	errBadHandle    errno = 8
	errBusy         errno = 10
	errConnRefused  errno = 14
	errConnReset    errno = 15
	errQuota        errno = 19
	errExist        errno = 20
	errFault        errno = 21
	errTooBig       errno = 22
	errUnreachable  errno = 23
	errInvalid      errno = 28
	errIO           errno = 29
	errIsFolder     errno = 31
	errLoop         errno = 32
	errManyHandles  errno = 33
	errManyFiles    errno = 41
	errNoSuchDevice errno = 43
	errNoMemory     errno = 48
	errStale        errno = 72
	errTextBusy     errno = 74
	errManyLinks    errno = 34
	errNameTooLong  errno = 37
	errNoEntry      errno = 44
	errNoSpace      errno = 51
	errNoSystem     errno = 52
	errNotConnected errno = 53
	errNotFolder    errno = 54
	errNotEmpty     errno = 55
	errNotSupported errno = 58
	errNoDevice     errno = 60
	errNotPermitted errno = 63
	errPipe         errno = 64
	errRange        errno = 68
	errReadOnly     errno = 69
	errTimedOut     errno = 73
	errCrossDevice  errno = 75
)

// Error implements error.
func (e errno) Error() string {
	if text, ok := errnoTexts[e]; ok {
		return text
	}
	return "input/output error"
}

// errnoTexts is never written to.
var errnoTexts = map[errno]string{
	errAgain: "not ready", errBadHandle: "no such handle", errFault: "the memory does not lie within the module",
	errInvalid: "invalid argument", errManyHandles: "too many handles are open", errNotPermitted: "not permitted",
	errNotSupported: "not supported", errPipe: "the other side has closed", errReadOnly: "the folder is read-only",
	errNotConnected: "the handle is in use by another one", errNoSystem: "not supported by this host",
}

// errnos is never written to.
var errnos = map[syscall.Errno]errno{
	syscall.EACCES: errAccess, syscall.EAGAIN: errAgain, syscall.EBADF: errBadHandle, syscall.EBUSY: errBusy,
	syscall.ECONNREFUSED: errConnRefused, syscall.ECONNRESET: errConnReset, syscall.EEXIST: errExist,
	syscall.EFAULT: errFault, syscall.EFBIG: errTooBig, syscall.EHOSTUNREACH: errUnreachable,
	syscall.ENETUNREACH: errUnreachable, syscall.EINVAL: errInvalid, syscall.EIO: errIO, syscall.EISDIR: errIsFolder,
	syscall.ELOOP: errLoop, syscall.EMFILE: errManyHandles, syscall.EMLINK: errManyLinks,
	syscall.ENAMETOOLONG: errNameTooLong, syscall.ENOENT: errNoEntry, syscall.ENOSPC: errNoSpace,
	syscall.ENOSYS: errNoSystem, syscall.ENOTCONN: errNotConnected, syscall.ENOTDIR: errNotFolder,
	syscall.ENOTEMPTY: errNotEmpty, syscall.ENOTSUP: errNotSupported,
	syscall.ENXIO: errNoDevice, syscall.EPERM: errNotPermitted, syscall.EPIPE: errPipe, syscall.ERANGE: errRange,
	syscall.E2BIG: errArguments, syscall.ENFILE: errManyFiles, syscall.ENODEV: errNoSuchDevice,
	syscall.ENOMEM: errNoMemory, syscall.ESTALE: errStale, syscall.ETXTBSY: errTextBusy,
	syscall.EROFS: errReadOnly, syscall.ETIMEDOUT: errTimedOut, syscall.EXDEV: errCrossDevice, syscall.EDQUOT: errQuota,
}

// errnoOf returns the number that is nearest to err.
func errnoOf(err error) errno {
	var own errno
	var system syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &system):
		if e, ok := errnos[system]; ok {
			return e
		}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return errTimedOut
	case errors.Is(err, fs.ErrNotExist):
		return errNoEntry
	case errors.Is(err, fs.ErrExist):
		return errExist
	case errors.Is(err, fs.ErrPermission):
		return errNotPermitted
	case errors.Is(err, io.ErrClosedPipe):
		return errPipe
	}
	return errIO
}
