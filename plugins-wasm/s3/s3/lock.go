package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
)

// mayBeLocked reports whether a version that was not removed should be asked
// for its lock: services have different codes for it.
func mayBeLocked(err error) bool {
	switch minio.ToErrorResponse(err).StatusCode {
	case http.StatusForbidden, http.StatusBadRequest, http.StatusConflict, http.StatusMethodNotAllowed:
		return true
	}
	return false
}

// lockOf returns a Locked error if a version cannot be removed yet, or that
// its lock is over, which it may not have been when the removal was refused.
// The headers of a version tell its locks in the same way everywhere.
func (s *store) lockOf(ctx context.Context, name, version string) (over bool, err error) {
	info, err := s.core.StatObject(ctx, s.c.Bucket, name, minio.StatObjectOptions{VersionID: version, ServerSideEncryption: s.c.readSSEC()})
	if err != nil {
		return false, nil // the error of the removal is what counts
	}
	until, err := time.Parse(time.RFC3339, info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err == nil && until.After(time.Now()) {
		mode := strings.ToLower(info.Metadata.Get("X-Amz-Object-Lock-Mode"))
		e := shield.Errorf(shield.Locked, opMark, "it is locked (%s) until %s", mode, until.UTC().Format(time.RFC3339))
		e.Until = until
		return false, e
	}
	if info.Metadata.Get("X-Amz-Object-Lock-Legal-Hold") == "ON" {
		return false, ownError(shield.Locked, "it has a legal hold, which somebody has to take off")
	}
	return err == nil, nil
}

// later returns that of two locks which ends last; one without an end does.
func later(a, b error) error {
	var x, y *shield.Error
	if !errors.As(a, &x) || !errors.As(b, &y) {
		return b
	}
	if x.Until.IsZero() || !y.Until.IsZero() && x.Until.After(y.Until) {
		return a
	}
	return b
}
