package google

import (
	"encoding/json"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

// interoperable opens the store by an HMAC key. The JSON API does not take
// those, the XML API does, and speaks S3.
//
// https://cloud.google.com/storage/docs/interoperability
func (c *config) interoperable(log plugin.Log) (plugin.Store, error) {
	switch {
	case c.JSONKey != "":
		return nil, invalid("access_id", "and json_key are both given: one of them is wanted")
	case c.AccessID == "":
		return nil, invalid("access_id", "is missing: secret is given, which belongs to one")
	case c.Secret == "":
		return nil, invalid("secret", "is missing: access_id is given, which needs it")
	case c.RetentionMode != "none":
		return nil, invalid("retention_mode", "is %q: only json_key can set retention, with access_id none is wanted", c.RetentionMode)
	}
	fields := map[string]any{
		"url": c.Endpoint, "bucket": c.Bucket, "prefix": c.Prefix, "style": "path",
		"access_key_id": c.AccessID, "secret_access_key": c.Secret, "checksum": "md5",
		"storage_class": strings.ToUpper(c.StorageClass), "retries": c.Retries, "timeout": c.StallTimeout,
	}
	if c.CA != "" {
		fields["ca_cert"] = c.CA
	}
	e, err := json.Marshal(fields)
	if err != nil {
		return nil, shield.Errorf(shield.Internal, "google", "%w", err)
	}
	return s3.Plugin(nil).Store(e, log)
}
