package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield/plugin"
)

// List calls yield with each blob. What fails half way goes on behind the
// last blob that was told.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	full := prefix
	if s.c.Prefix != "" {
		full = s.c.Prefix + "/" + prefix
	}
	last := ""
	var stopped error
	err := s.attempt(ctx, op{name: "list", permission: "s3:ListBucket"}, func(ctx context.Context) error {
		for o := range s.core.ListObjectsIter(ctx, s.c.Bucket, minio.ListObjectsOptions{Prefix: full, Recursive: true, StartAfter: last}) {
			if o.Err != nil {
				return o.Err
			}
			last = o.Key
			if strings.HasSuffix(o.Key, "/") || strings.HasSuffix(o.Key, segmentSuffix) {
				continue // a folder that some tool has made, or no blob yet
			}
			if stopped = yield(plugin.Object{Key: s.key(o.Key), Size: o.Size, ModifiedAt: o.LastModified}); stopped != nil {
				return nil
			}
		}
		return ctx.Err()
	})
	return errors.Join(stopped, err)
}
