package azure

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// codes says what the service's codes mean to shield; those that are not here
// are judged by their status.
// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
// It is never written to.
var codes = map[string]shield.Code{
	"AuthenticationFailed":            shield.Unauthorized,
	"InvalidAuthenticationInfo":       shield.Unauthorized,
	"NoAuthenticationInformation":     shield.Unauthorized,
	"BlobNotFound":                    shield.NotFound,
	"BlobAlreadyExists":               shield.Conflict,
	"BlobImmutableDueToPolicy":        shield.Locked,
	"BlobImmutableDueToLegalHold":     shield.Locked,
	"LeaseIdMissing":                  shield.InUse,
	"Md5Mismatch":                     shield.Corrupt,
	"Crc64Mismatch":                   shield.Corrupt,
	"ContainerBeingDeleted":           shield.Unavailable,
	"ContainerDisabled":               shield.Forbidden,
	"AccountIsDisabled":               shield.Forbidden,
	"ResourceTypeMismatch":            shield.StoreFailed,
	"InvalidBlobType":                 shield.StoreFailed,
	"BlobArchived":                    shield.StoreFailed,
	"BlobBeingRehydrated":             shield.StoreFailed,
	"InvalidHeaderValue":              shield.StoreFailed,
	"FeatureVersionMismatch":          shield.StoreFailed,
	"UnsupportedHeader":               shield.StoreFailed,
	"BlobTierInadequateForContentLen": shield.StoreFailed,
}

// hints say what to do. It is never written to.
var hints = map[string]string{
	"BlobArchived":                       "it is in the archive tier: set its tier to hot or cool and wait until it is there",
	"BlobBeingRehydrated":                "it is on its way out of the archive tier: wait until it is there",
	"LeaseIdMissing":                     "somebody holds a lease on it",
	"AuthorizationFailure":               "the account's firewall may not know this host",
	"Md5Mismatch":                        "the bytes changed on their way",
	"Crc64Mismatch":                      "the bytes changed on their way",
	"AuthenticationFailed":               "the key or the signature is wrong",
	"KeyBasedAuthenticationNotPermitted": "the account takes no keys: allow them, or use a signature",
}

// problem returns what an answer that is not the wanted one means.
func (s *store) problem(op string, a *rest.Answer) error {
	code, message := explain(a)
	if code == "ContainerNotFound" {
		return invalid("container", "%s does not exist: make it, or name another", s.account.base)
	}
	if code == "AuthorizationFailure" && strings.Contains(message, "failed to authenticate") {
		code = "AuthenticationFailed" // as emulators have it
	}
	class, ok := codes[code]
	if !ok {
		class = rest.StatusCode(a.Status)
	}
	if a.Status >= 300 && a.Status < 400 {
		message = "a redirect, which is not followed: name the service itself as the endpoint"
	}
	hint := hints[code]
	if class == shield.Unauthorized {
		if more := s.whyUnauthorized(a, time.Now()); more != "" {
			hint = more
		}
	}
	text := a.Words(code, message)
	if hint != "" {
		text += "; " + hint
	}
	return &shield.Error{Code: class, Message: fmt.Sprintf("%s: %s: %s", s.account.base, op, text)}
}

// skewLimit is half of what the service allows.
const skewLimit = 7 * time.Minute

// whyUnauthorized looks for the reasons that the service does not tell apart.
func (s *store) whyUnauthorized(a *rest.Answer, now time.Time) string {
	if !s.account.sasUntil.IsZero() && now.After(s.account.sasUntil) {
		return "the signature has expired at " + s.account.sasUntil.UTC().Format(time.RFC3339) + ": make a new one"
	}
	if skew := rest.ClockSkew(a.Header, now, skewLimit); skew != "" {
		return skew
	}
	if strings.Contains(string(a.Body), "specified time frame") {
		return "the signature has expired, or is not valid yet"
	}
	return ""
}

// explain returns the code and the words of an answer. The words end where
// the number and the time of the request begin.
func explain(a *rest.Answer) (code, message string) {
	var body struct {
		Code    string
		Message string
	}
	_ = xml.Unmarshal(a.Body, &body) // not all answers have one
	message, _, _ = strings.Cut(body.Message, "\n")
	if id := a.Header.Get("x-ms-request-id"); id != "" && message != "" {
		message += " (request " + id + ")"
	}
	return defaultTo(a.Header.Get("x-ms-error-code"), body.Code), message
}

// isMissing reports whether an error says that the blob is not there.
func isMissing(err error) bool { return errors.Is(err, shield.NotFound) }
