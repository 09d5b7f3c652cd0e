package s3

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
)

// Delete removes a blob with all its versions and delete markers, and what
// unfinished uploads of its key have left. It believes only what it sees.
func (s *store) Delete(ctx context.Context, key string) error {
	name, err := s.object(key)
	if err != nil {
		return err
	}
	for _, n := range []string{name, name + segmentSuffix} {
		err := s.abortUploads(ctx, op{"purge: unfinished uploads of", key, ""}, n, "")
		if errors.Is(err, shield.Forbidden) || isUnsupported(err) {
			s.log("uploads that were left unfinished cannot be looked for: " + err.Error())
		} else if err != nil {
			return err
		}
	}
	o := op{"purge", key, "s3:DeleteObject"}
	if err := s.removeAll(ctx, o, name); err != nil {
		return err
	}
	return s.confirmGone(ctx, key, name)
}

// isUnsupported reports whether the service has no such function.
func isUnsupported(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotImplemented
}

// abortUploads aborts the unfinished uploads of an object, all but one.
func (s *store) abortUploads(ctx context.Context, o op, name, but string) error {
	for {
		var page minio.ListMultipartUploadsResult
		o.permission = "s3:ListBucketMultipartUploads"
		err := s.attempt(ctx, o, func(ctx context.Context) (err error) {
			page, err = s.core.ListMultipartUploads(ctx, s.c.Bucket, name, "", "", "", 1000)
			return err
		})
		if errors.Is(err, shield.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		aborted := 0
		for _, u := range page.Uploads {
			if u.Key != name || u.UploadID == but {
				continue
			}
			o.permission = "s3:AbortMultipartUpload"
			err := s.attempt(ctx, o, func(ctx context.Context) error {
				err := s.core.AbortMultipartUpload(ctx, s.c.Bucket, name, u.UploadID)
				if minio.ToErrorResponse(err).Code == "NoSuchUpload" {
					err = nil
				}
				return err
			})
			if err != nil {
				return err
			}
			aborted++
		}
		if !page.IsTruncated || aborted == 0 {
			return nil
		}
	}
}

// removeAll removes all versions of an object and of its segments. A bucket
// without versions has one, called null, which DeleteObject without a version
// removes; elsewhere that would only add a marker.
func (s *store) removeAll(ctx context.Context, o op, name string) error {
	versions, err := s.versions(ctx, o, name)
	if errors.Is(err, shield.Forbidden) || isUnsupported(err) {
		return s.removeBlindly(ctx, o, name, err)
	}
	if err != nil || len(versions) == 0 {
		return err
	}
	if v := versions[0]; len(versions) == 1 && !v.IsDeleteMarker && (v.VersionID == "" || v.VersionID == "null") {
		marked, err := s.remove(ctx, o, v.Key, "")
		if err != nil || !marked {
			return err
		}
		if versions, err = s.versions(ctx, o, name); err != nil {
			return err
		}
	}
	o.permission = "s3:DeleteObjectVersion"
	var locked error
	for _, v := range versions {
		_, err := s.remove(ctx, o, v.Key, v.VersionID)
		switch {
		case errors.Is(err, shield.Locked):
			locked = later(locked, err)
		case err != nil:
			return err
		}
	}
	return locked
}

// removeBlindly is for keys that may not see versions.
func (s *store) removeBlindly(ctx context.Context, o op, name string, why error) error {
	marked, err := s.remove(ctx, o, name, "")
	if err != nil || !marked {
		return err
	}
	return shield.Errorf(shield.Forbidden, o.String(), "%sthe bucket keeps versions and those cannot be seen: the blob is hidden, but it is still there: %w", s.place(), why)
}

// versions returns the versions and delete markers of an object and its
// segments.
func (s *store) versions(ctx context.Context, o op, name string) (list []minio.ObjectInfo, err error) {
	o.permission = "s3:ListBucketVersions"
	err = s.attempt(ctx, o, func(ctx context.Context) error {
		list = list[:0]
		for v := range s.core.ListObjectsIter(ctx, s.c.Bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true, Prefix: name}) {
			switch {
			case v.Err != nil:
				return v.Err
			case v.Key == name || v.Key == name+segmentSuffix:
				list = append(list, v)
			case v.Key > name+segmentSuffix:
				return nil
			}
		}
		return ctx.Err()
	})
	return list, err
}

// remove removes a version, or without one the object, and says whether all
// that came of it is a delete marker.
func (s *store) remove(ctx context.Context, o op, name, version string) (marked bool, err error) {
	err = s.attempt(ctx, o, func(ctx context.Context) error {
		marked, err = s.removeOnce(ctx, name, version)
		if err == nil || !mayBeLocked(err) {
			return err
		}
		over, lock := s.lockOf(ctx, name, version)
		if over {
			marked, err = s.removeOnce(ctx, name, version)
		}
		return cmp.Or(lock, err)
	})
	return marked, err
}

func (s *store) removeOnce(ctx context.Context, name, version string) (marked bool, err error) {
	noted, said := withNote(ctx)
	err = s.core.RemoveObject(noted, s.c.Bucket, name, minio.RemoveObjectOptions{VersionID: version})
	if own, ok := ctx.Value(noteKey{}).(*note); ok {
		*own = *said
	}
	if code := minio.ToErrorResponse(err).Code; code == "NoSuchKey" || code == "NoSuchVersion" {
		err = nil
	}
	return version == "" && said.deleteMarker, err
}

// confirmGone asks once more: some services say yes to everything.
func (s *store) confirmGone(ctx context.Context, key, name string) error {
	o := op{"purge: check", key, ""}
	err := s.attempt(ctx, o, func(ctx context.Context) error {
		_, err := s.core.StatObject(ctx, s.c.Bucket, name, minio.StatObjectOptions{ServerSideEncryption: s.c.readSSEC()})
		return err
	})
	switch {
	case errors.Is(err, shield.NotFound), errors.Is(err, shield.Forbidden): // without s3:ListBucket, a missing key is forbidden
		return nil
	case err != nil:
		return err
	}
	return shield.Errorf(shield.StoreFailed, o.String(), "%sthe service has acknowledged it but the blob is still there", s.place())
}
