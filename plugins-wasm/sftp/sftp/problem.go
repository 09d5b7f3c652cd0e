package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
)

// failed says what was being done where, and classifies.
func (s *store) failed(op, doing string, err error) error {
	var own *shield.Error
	if errors.As(err, &own) {
		if own.Op != "" || own.Field != "" {
			return err
		}
		named := *own
		named.Op, named.Message = op, fmt.Sprintf("%s: %s: %s", s.place, doing, own.Message)
		return &named
	}
	code, words := s.classify(err)
	if words != "" {
		return shield.Errorf(code, op, "%s: %s: %s (%w)", s.place, doing, words, err)
	}
	return shield.Errorf(code, op, "%s: %s: %w", s.place, doing, err)
}

// Codes of later versions of the protocol that servers send in this one, too.
// https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-13#section-9.1
const (
	fxNoSpace       = 14
	fxQuotaExceeded = 15
)

func (s *store) classify(err error) (code shield.Code, words string) {
	var bad *mismatch
	var status *sftp.StatusError
	var algorithms *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &bad):
		return shield.Unauthorized, ""
	case errors.As(err, &algorithms):
		return shield.Invalid, "the server and this plugin have no algorithm in common"
	case errors.Is(err, context.Canceled):
		return shield.Canceled, ""
	case errors.Is(err, context.DeadlineExceeded):
		return shield.TimedOut, ""
	case errors.Is(err, os.ErrPermission):
		return shield.Forbidden, "the user " + s.user + " may not do that"
	case errors.As(err, &status) && status.Code == fxNoSpace:
		return shield.StoreFailed, "no space is left"
	case errors.As(err, &status) && status.Code == fxQuotaExceeded:
		return shield.StoreFailed, "the quota is exceeded"
	case isLost(err):
		return shield.Unavailable, "the connection was lost"
	case isRefused(err):
		return shield.Unavailable, ""
	}
	return shield.StoreFailed, ""
}

// isLost reports whether the connection has ended, so that nobody knows whether
// the server has done what it was asked.
func isLost(err error) bool {
	for _, lost := range []error{sftp.ErrSSHFxConnectionLost, sftp.ErrSSHFxNoConnection, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return errors.Is(err, shield.Unavailable)
}

// isAnswer reports whether the server has said it.
func isAnswer(err error) bool {
	return errors.As(err, new(*sftp.StatusError)) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}

// isRefused reports whether a connection could not be made.
func isRefused(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.As(err, new(*net.OpError))
}

// isPassing reports whether another connection may fare better. A handshake
// that breaks does so where servers are busy; what they say to it is text.
func isPassing(err error) bool {
	var status *sftp.StatusError
	return !errors.As(err, &status) && (isLost(err) || isRefused(err)) && !isUnknownHost(err)
}

func isUnknownHost(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// isFailure reports whether the server has said "failure", as OpenSSH does to
// all that it has no code for: a full disk, a quota, a name that exists.
func isFailure(err error) bool {
	var status *sftp.StatusError
	return errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxFailure
}

// isUnsupported reports whether the server does not know a request.
func isUnsupported(err error) bool {
	var status *sftp.StatusError
	return errors.As(err, &status) && status.FxCode() == sftp.ErrSSHFxOpUnsupported
}
