package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// transportCode classifies why there was no answer. In the sandbox the host
// has classified it already.
func transportCode(err error) shield.Code {
	var own *shield.Error
	if errors.As(err, &own) {
		return own.Code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return shield.TimedOut
	}
	return shield.Unavailable
}

// isCertificate reports whether the server's certificate is not to be
// trusted, which no further try changes.
func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &verification) || errors.As(err, &name) || errors.As(err, &authority) || errors.As(err, &invalid) {
		return true
	}
	return strings.Contains(err.Error(), "x509: ") // as the host of the sandbox words it
}

// WithOp names the operation in an error of shield's that names none.
func WithOp(op string, err error) error {
	var own *shield.Error
	if !errors.As(err, &own) || own.Op != "" {
		return err
	}
	named := *own
	named.Op = op
	return &named
}

// ClockSkew says so if the clock of this host differs from the service's, as
// the header Date of an answer tells it, by more than limit.
func ClockSkew(h http.Header, now time.Time, limit time.Duration) string {
	there, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return ""
	}
	switch d := now.Sub(there).Round(time.Second); {
	case d > limit:
		return "the clock of this host is " + d.String() + " ahead of the service's: set it"
	case d < -limit:
		return "the clock of this host is " + (-d).String() + " behind the service's: set it"
	}
	return ""
}
