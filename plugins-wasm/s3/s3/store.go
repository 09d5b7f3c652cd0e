package s3

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// store is a bucket, or what lies below a prefix of one.
type store struct {
	c    *config
	core *minio.Core
	log  plugin.Log
	plan plan
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Keeper    = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

func open(info *plugin.Info, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(info, e)
	if err != nil {
		return nil, err
	}
	core, err := c.newClient()
	if err != nil {
		return nil, shield.FieldErrorf("endpoint", "cannot be used: %v", err)
	}
	if log == nil {
		log = func(string) {}
	}
	return &store{c: c, core: core, log: log, plan: defaultPlan(c.partSize)}, nil
}

// Validate has nothing to add: opening has checked all that can be checked
// without the service.
func (s *store) Validate(context.Context) error { return nil }

// keyLimit is S3's, in bytes.
const keyLimit = 1024

// object returns the name of a key in the bucket.
func (s *store) object(key string) (string, error) {
	name := key
	if s.c.Prefix != "" {
		name = s.c.Prefix + "/" + key
	}
	if key == "" || len(name)+len(segmentSuffix) > keyLimit || !utf8.ValidString(name) {
		return "", shield.FieldErrorf("key", "is %.200q: 1 to %d bytes of UTF-8 are wanted", key, keyLimit-len(segmentSuffix)-len(name)+len(key))
	}
	if strings.Contains(name, `\`) {
		return "", shield.FieldErrorf("key", "is %.200q: a backslash is not wanted, since some services take it for a slash", key)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." || part == "" {
			return "", shield.FieldErrorf("key", "is %.200q: no part between slashes may be empty, . or ..", key)
		}
	}
	return name, nil
}

func (s *store) key(name string) string {
	if s.c.Prefix == "" {
		return name
	}
	return strings.TrimPrefix(name, s.c.Prefix+"/")
}
