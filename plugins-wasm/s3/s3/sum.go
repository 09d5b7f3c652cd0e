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

// A summer computes the checksums of a part while it is read, when its bytes
// are in the processor's cache yet.
type summer struct {
	algorithm string // that of the header
	hashes    map[string]*pdk.Hash
}

// newSummer returns one for what the settings want. A lock needs a checksum in
// any case.
func (s *store) newSummer(locked bool) (*summer, error) {
	m := &summer{algorithm: s.c.Checksum, hashes: map[string]*pdk.Hash{}}
	if m.algorithm == "none" && locked {
		m.algorithm = "md5"
	}
	wanted := []string{m.algorithm}
	if !s.c.secure && s.c.Signature == "4" {
		wanted = append(wanted, "sha256")
	}
	for _, a := range wanted {
		if a == "none" || m.hashes[a] != nil {
			continue
		}
		h, err := pdk.NewHash(a)
		if err != nil {
			m.close()
			return nil, err
		}
		m.hashes[a] = h
	}
	return m, nil
}

// Write implements io.Writer.
func (m *summer) Write(p []byte) (int, error) {
	for _, h := range m.hashes {
		if _, err := h.Write(p); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (m *summer) close() {
	for _, h := range m.hashes {
		_ = h.Close()
	}
}

// sum returns the checksums of what was written.
func (m *summer) sum() (*sum, error) {
	out := &sum{header: http.Header{}}
	for a, h := range m.hashes {
		b, err := h.Sum()
		if err != nil {
			return nil, err
		}
		if a == "sha256" {
			out.payload = hex.EncodeToString(b)
		}
		if a != m.algorithm {
			continue
		}
		out.value = base64.StdEncoding.EncodeToString(b)
		if a == "md5" {
			out.md5, out.value = out.value, ""
		} else {
			out.header.Set(checksumHeader+a, out.value)
		}
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
