package archive

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// Formats and version of the manifests that this package writes. RawFormat is
// that of a raw archive: the blob is the raw bytes.
const (
	ManifestFormat  = "stream"
	RawFormat       = "raw"
	ManifestVersion = 1
)

// A Manifest is the commit record of an archive. It is stored beside the blob
// once everybody agreed on its length and digest: a blob without one is an
// orphan. Catalogs can be rebuilt from manifests.
type Manifest struct {
	Format  string `json:"format"`  // set by SealManifest: how the blobs give the raw bytes
	Version int    `json:"version"` // set by SealManifest
	Archive string `json:"archive"` // UUID
	Key     string `json:"key"`     // of the blob in the store

	TargetUUID    string `json:"target_uuid"`
	TargetName    string `json:"target_name"`
	TargetPlugin  string `json:"target_plugin"`
	PluginVersion string `json:"plugin_version"`
	PluginDigest  string `json:"plugin_digest"`
	// Versions and Counts are what the target said before the dump.
	Versions map[string]string `json:"versions,omitempty"`
	Counts   map[string]int64  `json:"counts,omitempty"`

	StoreUUID string `json:"store_uuid"`
	StoreName string `json:"store_name"`
	JobUUID   string `json:"job_uuid"` // "" when there was none
	JobName   string `json:"job_name"`

	TakenAt    time.Time `json:"taken_at"`
	FinishedAt time.Time `json:"finished_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`

	RawSize      int64  `json:"raw_size"`
	RawDigest    string `json:"raw_digest"`
	SealedSize   int64  `json:"sealed_size"`
	SealedDigest string `json:"sealed_digest"`
	Frames       int64  `json:"frames"`
	Level        Level  `json:"level"`

	Recipients []string  `json:"recipients"` // public keys that the archive is sealed to
	Seal       string    `json:"seal"`       // age header of the blob: FileKey gets the file key from it
	Refs       []BlobRef `json:"refs"`       // other blobs that are needed; none for a stream
}

// A BlobRef names another blob that an archive needs. As long as a manifest
// has a reference to a blob, the blob must not be purged.
type BlobRef struct {
	Archive      string `json:"archive"` // UUID
	Key          string `json:"key"`
	SealedSize   int64  `json:"sealed_size"`
	SealedDigest string `json:"sealed_digest"`
}

// Expect returns what a Reader of the manifest's blob is to compare.
func (m *Manifest) Expect() *Expect {
	return &Expect{
		Archive: m.Archive, Seal: m.Seal, RawSize: m.RawSize, RawDigest: m.RawDigest,
		SealedSize: m.SealedSize, SealedDigest: m.SealedDigest,
	}
}

// encode returns the JSON that is signed.
func (m Manifest) encode() ([]byte, error) {
	m.Format, m.Version = ManifestFormat, ManifestVersion
	if m.Level == Raw {
		m.Format = RawFormat
	}
	m.TakenAt, m.FinishedAt, m.ExpiresAt = m.TakenAt.UTC(), m.FinishedAt.UTC(), m.ExpiresAt.UTC()
	if m.Recipients == nil {
		m.Recipients = []string{}
	}
	if m.Refs == nil {
		m.Refs = []BlobRef{}
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

func (m *Manifest) validate() error {
	for _, u := range []struct{ field, value string }{
		{"archive", m.Archive}, {"target_uuid", m.TargetUUID}, {"store_uuid", m.StoreUUID}, {"job_uuid", m.JobUUID},
	} {
		if !shield.IsUUID(u.value) && (u.field != "job_uuid" || u.value != "") {
			return shield.FieldErrorf(u.field, "%q is not a UUID", clip(u.value))
		}
	}
	if m.Key == "" {
		return shield.FieldErrorf("key", "is missing")
	}
	if m.TakenAt.IsZero() || m.FinishedAt.IsZero() {
		return shield.FieldErrorf("taken_at", "and finished_at must both be set")
	}
	if _, err := ParseLevel(string(m.Level)); err != nil {
		return err
	}
	if err := shield.FirstError(m.validateSizes(), m.validateRaw()); err != nil {
		return err
	}
	if err := boundedSource(m.Versions, m.Counts); err != nil {
		return err
	}
	return bounded(map[string]string{
		"key": m.Key, "target_name": m.TargetName, "target_plugin": m.TargetPlugin,
		"plugin_version": m.PluginVersion, "plugin_digest": m.PluginDigest,
		"store_name": m.StoreName, "job_name": m.JobName,
	})
}

func (m *Manifest) validateSizes() error {
	if m.RawSize < 0 || m.SealedSize < 0 || m.SealedSize == 0 && m.Level != Raw || m.Frames < 0 {
		return shield.FieldErrorf("sealed_size", "and raw_size and frames must not be negative")
	}
	if !isDigest(m.RawDigest) {
		return shield.FieldErrorf("raw_digest", "%q is not blake3: and 64 hex digits", clip(m.RawDigest))
	}
	if !isDigest(m.SealedDigest) {
		return shield.FieldErrorf("sealed_digest", "%q is not blake3: and 64 hex digits", clip(m.SealedDigest))
	}
	for _, ref := range m.Refs {
		if !shield.IsUUID(ref.Archive) || ref.Key == "" || len(ref.Key) > maxText || !isDigest(ref.SealedDigest) || ref.SealedSize <= 0 {
			return shield.FieldErrorf("refs", "%q is not a whole reference", clip(ref.Key))
		}
	}
	return nil
}

// validateRaw checks that nothing says that a raw archive is anything else, and
// that nothing else says that it is raw.
func (m *Manifest) validateRaw() error {
	raw := m.Level == Raw
	if raw != (m.Format == RawFormat) {
		return shield.FieldErrorf("format", "%q does not go with level %q", m.Format, m.Level)
	}
	if raw && (m.SealedSize != m.RawSize || m.SealedDigest != m.RawDigest || m.Frames != 0 || m.Seal != "" || len(m.Recipients) > 0) {
		return shield.FieldErrorf("level", "%q goes with equal sizes and digests, no frames, no seal and no recipients", m.Level)
	}
	return nil
}

func isDigest(s string) bool {
	sum, ok := strings.CutPrefix(s, "blake3:")
	if !ok || len(sum) != 64 || strings.ToLower(sum) != sum {
		return false
	}
	_, err := hex.DecodeString(sum)
	return err == nil
}

// decodeManifest reads what encode made, possibly by a later shield: unknown
// fields are passed over, an unknown format or version is refused.
func decodeManifest(data []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, manifestf("not valid JSON: %v", err)
	}
	if m.Format != ManifestFormat && m.Format != RawFormat || m.Version != ManifestVersion {
		return nil, shield.Errorf(shield.Invalid, "archive.OpenManifest",
			"manifest has format %q version %d; this shield reads %q and %q version %d",
			clip(m.Format), m.Version, ManifestFormat, RawFormat, ManifestVersion)
	}
	if err := m.validate(); err != nil {
		return nil, manifestf("%v", err)
	}
	return &m, nil
}

func manifestf(format string, args ...any) error {
	return shield.Errorf(shield.Corrupt, "archive.OpenManifest", format, args...)
}
