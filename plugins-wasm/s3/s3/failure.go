package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
)

// An op is what is being done: to which key, and with which permission.
type op struct {
	name, key  string
	permission string
}

func (o op) String() string {
	if o.key == "" {
		return o.name
	}
	return fmt.Sprintf("%s %q", o.name, o.key)
}

// kinds is what the service's codes stand for. It is never written to.
var kinds = map[string]struct {
	code   shield.Code
	field  string
	advice string
	passes bool
}{
	"InvalidAccessKeyId":                   {shield.Unauthorized, "endpoint.access_key_id", "the service does not know this access key", false},
	"SignatureDoesNotMatch":                {shield.Unauthorized, "endpoint.secret_access_key", "the secret key is not that of the access key", false},
	"ExpiredToken":                         {shield.Unauthorized, "endpoint.session_token", "the session token has expired: temporary keys have to be renewed", false},
	"ExpiredTokenException":                {shield.Unauthorized, "endpoint.session_token", "the session token has expired: temporary keys have to be renewed", false},
	"InvalidToken":                         {shield.Unauthorized, "endpoint.session_token", "the session token is not valid", false},
	"InvalidTokenId":                       {shield.Unauthorized, "endpoint.session_token", "the session token is not valid", false},
	"TokenRefreshRequired":                 {shield.Unauthorized, "endpoint.session_token", "the session token has to be renewed", false},
	"AuthorizationHeaderMalformed":         {shield.Unauthorized, "endpoint.region", "the bucket is in another region", false},
	"PermanentRedirect":                    {shield.Invalid, "endpoint.url", "the bucket is to be reached by another URL", false},
	"NoSuchBucket":                         {shield.Invalid, "endpoint.bucket", "there is no such bucket", false},
	"InvalidBucketName":                    {shield.Invalid, "endpoint.bucket", "that is no name of a bucket", false},
	"NoSuchKey":                            {shield.NotFound, "", "", false},
	"NoSuchVersion":                        {shield.NotFound, "", "", false},
	"NoSuchUpload":                         {shield.StoreFailed, "", "somebody has ended the upload, or the service has lost it", false},
	"KeyTooLongError":                      {shield.Invalid, "key", "", false},
	"XMinioInvalidObjectName":              {shield.Invalid, "key", "", false},
	"InvalidObjectState":                   {shield.StoreFailed, "", "it is in a storage class from which it has to be restored first", false},
	"BadDigest":                            {shield.Corrupt, "", "the bytes were changed on their way", true},
	"InvalidDigest":                        {shield.Corrupt, "", "the bytes were changed on their way", true},
	"XAmzContentChecksumMismatch":          {shield.Corrupt, "", "the bytes were changed on their way", true},
	"XAmzContentSHA256Mismatch":            {shield.Corrupt, "", "the bytes were changed on their way", true},
	"IncompleteBody":                       {shield.Unavailable, "", "the service got less than was sent", true},
	"RequestTimeout":                       {shield.Unavailable, "", "", true},
	"SlowDown":                             {shield.Unavailable, "", "", true},
	"SlowDownWrite":                        {shield.Unavailable, "", "", true},
	"SlowDownRead":                         {shield.Unavailable, "", "", true},
	"OperationAborted":                     {shield.Unavailable, "", "", true},
	"InternalError":                        {shield.Unavailable, "", "", true},
	"XMinioStorageFull":                    {shield.StoreFailed, "", "the service is full", false},
	"QuotaExceeded":                        {shield.StoreFailed, "", "the quota is used up", false},
	"InvalidStorageClass":                  {shield.Invalid, "endpoint.storage_class", "the service has no such class", false},
	"InvalidRetentionPeriod":               {shield.Invalid, "", "the bucket does not take that time", false},
	"ObjectLockConfigurationNotFoundError": {shield.Invalid, "", "object lock is not enabled for the bucket", false},
}

// classify makes an error of ours of one of minio-go's, the network's or the
// host's.
func (s *store) classify(o op, err error, said *note) *failure {
	var own *shield.Error
	if errors.As(err, &own) && own.Op == opMark {
		return &failure{err: &shield.Error{Code: own.Code, Op: o.String(), Field: own.Field, Message: s.place() + own.Message, Until: own.Until}}
	}
	e := &shield.Error{Code: shield.Unavailable, Op: o.String(), Err: err}
	f := &failure{err: e, passes: true}
	answer := minio.ToErrorResponse(err)
	if answer.Code == "" && answer.StatusCode == 0 {
		s.classifyNetwork(f, err)
		return f
	}
	text := answer.Message
	if text == "" {
		text = http.StatusText(answer.StatusCode)
	}
	e.Message = fmt.Sprintf("%s%s (%s)", s.place(), strings.TrimSuffix(text, "."), strings.TrimSpace(answer.Code+" "+status(answer.StatusCode)))
	k, known := kinds[answer.Code]
	switch {
	case answer.Code == "RequestTimeTooSkewed":
		e.Code, f.passes = shield.Unauthorized, false
		e.Message += ": " + clocks(said)
	case known && (k.code != shield.NotFound || o.key != ""):
		e.Code, e.Field, f.passes = k.code, k.field, k.passes
		if k.advice != "" {
			e.Message += ": " + k.advice
		}
		if answer.Code == "AuthorizationHeaderMalformed" && answer.Region != "" {
			e.Message += ", " + answer.Region
		}
	default:
		classifyStatus(f, o, answer.StatusCode)
	}
	if strings.Contains(text, "Checksum Type mismatch") {
		e.Field = "endpoint.checksum"
		e.Message += ": md5 is what all services know"
	}
	return f
}

// opMark is the Op of errors that this package makes for itself.
const opMark = "s3"

func ownError(code shield.Code, format string, args ...any) error {
	return shield.Errorf(code, opMark, format, args...)
}

func status(n int) string {
	if n == 0 {
		return ""
	}
	return itoa(n)
}

func clocks(said *note) string {
	if said == nil || said.skew.Abs() < time.Second {
		return "the clocks of this machine and of the service differ"
	}
	return fmt.Sprintf("the clock of the service is %s from that of this machine", said.skew.Round(time.Second))
}

func classifyStatus(f *failure, o op, status int) {
	switch {
	case status == http.StatusUnauthorized:
		f.err.Code, f.passes = shield.Unauthorized, false
	case status == http.StatusForbidden:
		f.err.Code, f.passes = shield.Forbidden, false
		if o.permission != "" {
			f.err.Message += ": " + o.permission + " is needed"
		}
	case status == http.StatusNotFound && o.key != "":
		f.err.Code, f.passes = shield.NotFound, false
	case status == http.StatusInsufficientStorage:
		f.err.Code, f.passes = shield.StoreFailed, false
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		f.err.Code, f.passes = shield.Unavailable, status != http.StatusNotImplemented
	default:
		f.err.Code, f.passes = shield.StoreFailed, false
	}
}

// classifyNetwork is for what is no answer of the service. In the sandbox the
// errors of the host come as texts.
func (s *store) classifyNetwork(f *failure, err error) {
	text := err.Error()
	f.err.Message = s.place() + text
	var own *shield.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &own) && (own.Code == shield.Forbidden || own.Code == shield.Invalid):
		f.err.Code, f.passes = own.Code, false
	case strings.Contains(text, "certificate") || strings.Contains(text, "x509:") || strings.Contains(text, "tls:") ||
		strings.Contains(text, "server gave HTTP response to HTTPS client"):
		f.passes = false
	case errors.As(err, &dns) && dns.IsNotFound || strings.Contains(text, "no such host"):
		f.err.Field, f.passes = "endpoint.url", false
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
	}
}

// place names the store in errors.
func (s *store) place() string { return "bucket " + s.c.Bucket + " at " + s.c.host + ": " }
