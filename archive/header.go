package archive

import (
	"encoding/json"
	"time"

	"github.com/shieldhq/shield"
)

// A Header is what is known of an archive before its first byte. It rides in
// the blob, inside the encryption.
type Header struct {
	Format        string    `json:"format"`  // set by NewWriter
	Version       int       `json:"version"` // set by NewWriter
	Kind          string    `json:"kind"`    // set by NewWriter
	Archive       string    `json:"archive"` // UUID
	TargetUUID    string    `json:"target_uuid"`
	TargetName    string    `json:"target_name"`
	Plugin        string    `json:"plugin"`
	PluginVersion string    `json:"plugin_version"`
	PluginDigest  string    `json:"plugin_digest"` // of the module that made the stream
	TakenAt       time.Time `json:"taken_at"`
	// Versions and Counts are what the target said before the dump.
	Versions map[string]string `json:"versions,omitempty"`
	Counts   map[string]int64  `json:"counts,omitempty"`
}

// encode returns the header as JSON, with format, version and kind filled in.
func (h Header) encode() ([]byte, error) {
	h.Format, h.Version, h.Kind = StreamFormat, StreamVersion, StreamKind
	h.TakenAt = h.TakenAt.UTC()
	if err := h.validate(); err != nil {
		return nil, err
	}
	return json.Marshal(h)
}

func (h Header) validate() error {
	for _, u := range []struct{ field, value string }{
		{"archive", h.Archive}, {"target_uuid", h.TargetUUID},
	} {
		if !shield.IsUUID(u.value) {
			return shield.FieldErrorf(u.field, "%q is not a UUID", clip(u.value))
		}
	}
	if h.TakenAt.IsZero() {
		return shield.FieldErrorf("taken_at", "is missing")
	}
	if err := boundedSource(h.Versions, h.Counts); err != nil {
		return err
	}
	return bounded(map[string]string{
		"target_name": h.TargetName, "plugin": h.Plugin,
		"plugin_version": h.PluginVersion, "plugin_digest": h.PluginDigest,
	})
}

// decodeHeader reads what encode made, possibly by a later shield: unknown
// fields are passed over, an unknown version is refused.
func decodeHeader(data []byte) (Header, error) {
	var h Header
	if err := json.Unmarshal(data, &h); err != nil {
		return Header{}, corruptf("header is not valid JSON: %v", err)
	}
	if h.Format != StreamFormat {
		return Header{}, corruptf("header has format %q, wanted %q", clip(h.Format), StreamFormat)
	}
	if h.Version != StreamVersion || h.Kind != StreamKind {
		return Header{}, shield.Errorf(shield.Invalid, "archive.Reader",
			"archive has kind %q version %d; this shield reads %q version %d",
			clip(h.Kind), h.Version, StreamKind, StreamVersion)
	}
	if err := h.validate(); err != nil {
		return Header{}, corruptf("header: %v", err)
	}
	return h, nil
}

// maxText bounds every text in a header or a manifest.
const maxText = 1024

func bounded(texts map[string]string) error {
	for field, s := range texts {
		if len(s) > maxText {
			return shield.FieldErrorf(field, "has %d bytes, at most %d are allowed", len(s), maxText)
		}
	}
	return nil
}

// maxEntries bounds the maps of a header or a manifest.
const maxEntries = 64

func boundedSource(versions map[string]string, counts map[string]int64) error {
	if len(versions) > maxEntries || len(counts) > maxEntries {
		return shield.FieldErrorf("versions", "and counts have %d and %d entries, at most %d are allowed", len(versions), len(counts), maxEntries)
	}
	texts := map[string]string{}
	for name, v := range versions {
		texts["versions."+clip(name)] = name + v
	}
	for name, n := range counts {
		texts["counts."+clip(name)] = name
		if n < 0 {
			return shield.FieldErrorf("counts."+clip(name), "is %d, it must not be negative", n)
		}
	}
	return bounded(texts)
}

// clip keeps hostile text out of messages.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
