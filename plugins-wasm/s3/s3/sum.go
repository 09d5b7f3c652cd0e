package s3

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/shieldhq/shield/plugin/pdk"
)

// A sum is how the service is told what a part has to be.
type sum struct {
	header  http.Header // x-amz-checksum-..., or none
	value   string      // of that header
	md5     string      // Content-MD5, or none
	payload string      // SHA-256 for the signature, or none: then TLS protects the body
}

const checksumHeader = "X-Amz-Checksum-"

// sum computes what the settings want. A lock needs a checksum in any case.
func (s *store) sum(data []byte, locked bool) (*sum, error) {
	out := &sum{header: http.Header{}}
	algorithm := s.c.Checksum
	if algorithm == "none" && locked {
		algorithm = "md5"
	}
	if algorithm != "none" {
		b, err := pdk.Sum(algorithm, data)
		if err != nil {
			return nil, err
		}
		text := base64.StdEncoding.EncodeToString(b)
		if algorithm == "md5" {
			out.md5 = text
		} else {
			out.value = text
			out.header.Set(checksumHeader+algorithm, text)
		}
		if algorithm == "sha256" {
			out.payload = hex.EncodeToString(b)
		}
	}
	if !s.c.secure && out.payload == "" && s.c.Signature == "4" {
		b, err := pdk.Sum("sha256", data)
		if err != nil {
			return nil, err
		}
		out.payload = hex.EncodeToString(b)
	}
	return out, nil
}

// declares reports whether an upload in parts names its checksum when it is
// begun. Amazon's has to. Others compare each part all the same, and do not
// copy a segment into an upload that names one.
func (c *config) declares() bool {
	return (c.Checksum == "crc32c" || c.Checksum == "sha256") && c.isAmazon()
}

func (c *config) isAmazon() bool {
	host, _, _ := strings.Cut(c.host, ":")
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// readSSEC is what reading needs: only a key that the service does not keep.
func (c *config) readSSEC() encrypt.ServerSide {
	if c.SSE == "c" {
		return c.sse
	}
	return nil
}
